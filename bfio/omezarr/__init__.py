"""OME-Zarr: stores of Zarr v2 and v3, their images, chunks and shards, read and written without zarr where possible."""
