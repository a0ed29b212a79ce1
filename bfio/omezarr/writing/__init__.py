"""Chunks, shards and documents of Zarr arrays into a folder."""
