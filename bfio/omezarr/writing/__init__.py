"""Writing of OME-Zarr: blocks in any order become chunks and shards, level by level."""
