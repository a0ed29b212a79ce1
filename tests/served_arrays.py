"""Arrays of all kinds that the tests of stores behind a server share."""

import numpy as np
import zarr

IMAGE = np.random.default_rng(8).integers(0, 9999, (2, 300, 410), np.uint16)
KINDS = {
    "v3": {},
    "v2": {"zarr_format": 2},
    "raw": {"compressors": None},
    "shards": {"shards": (2, 128, 128)},
    "raw shards": {"shards": (1, 128, 128), "compressors": None},
    "blosc shards": {"shards": (2, 64, 256), "compressors": zarr.codecs.BloscCodec(cname="lz4")},
    "index at the start": {
        "chunks": (2, 128, 128),
        "compressors": None,
        "filters": None,
        "serializer": zarr.codecs.ShardingCodec(chunk_shape=(1, 32, 32), index_location="start"),
    },
}


def write(folder, kind="v3", image=IMAGE, **more):
    """A plain array; its last rows of chunks were never written."""
    options = {"chunks": (1, 32, 32), "zarr_format": 3, "fill_value": 7, **KINDS[kind], **more}
    array = zarr.create_array(str(folder), shape=image.shape, dtype=image.dtype, **options)
    array[:, :256] = image[:, :256]
    return folder


def expected(image=IMAGE):
    image = image.copy()
    image[:, 256:] = 7
    return image.transpose(1, 2, 0)


def keys_of(server, word="c/"):
    return [entry[1] for entry in server.log if word in entry[1]]
