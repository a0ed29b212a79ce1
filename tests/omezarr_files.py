"""Zarr stores made by hand: documents only, so that all pixels have the fill value."""

import json

SPACE = {"z": "micrometer", "y": "micrometer", "x": "micrometer"}
TYPES = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}


def put(folder, key, document):
    path = folder / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document if isinstance(document, str) else json.dumps(document))


def put_array(folder, key, shape, version=3, dtype="uint16", chunks=None, names=None, shard=None):
    chunks = list(chunks or [1] * (len(shape) - 2) + [16, 32])
    if version == 2:
        codes = {"uint8": "|u1", "uint16": "<u2", "float32": "<f4"}
        document = {
            "zarr_format": 2, "shape": list(shape), "chunks": chunks, "dtype": codes[dtype], "fill_value": 0,
            "compressor": {"id": "zstd", "level": 1}, "filters": None, "order": "C", "dimension_separator": "/",
        }  # fmt: skip
        return put(folder, f"{key}/.zarray" if key else ".zarray", document)
    codecs = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "zstd", "configuration": {"level": 1}}]
    if shard:
        index = [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]
        inner = {"chunk_shape": chunks, "codecs": codecs, "index_codecs": index, "index_location": "end"}
        codecs, chunks = [{"name": "sharding_indexed", "configuration": inner}], list(shard)
    document = {
        "zarr_format": 3, "node_type": "array", "shape": list(shape), "data_type": dtype, "codecs": codecs,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunks}}, "fill_value": 0,
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}}, "attributes": {},
    }  # fmt: skip
    if names is not None:
        document["dimension_names"] = list(names)
    return put(folder, f"{key}/zarr.json" if key else "zarr.json", document)


def put_group(folder, key="", ome=None, version=3, **attributes):
    """A group; what is given as `ome` stands where the version has it."""
    where = f"{key}/" if key else ""
    if version == 3:
        inner = {**({"ome": ome} if ome is not None else {}), **attributes}
        put(folder, f"{where}zarr.json", {"zarr_format": 3, "node_type": "group", "attributes": inner})
    else:
        put(folder, f"{where}.zgroup", {"zarr_format": 2})
        put(folder, f"{where}.zattrs", {**(ome or {}), **attributes})


def axes_of(letters, units=SPACE):
    return [{"name": axis, "type": TYPES[axis], **({"unit": units[axis]} if axis in units else {})} for axis in letters]


def multiscale(letters="tczyx", paths=("0", "1"), size=0.5, **more):
    """An entry of multiscales; level n has pixels of 2 ** n times the size."""
    datasets = []
    for number, path in enumerate(paths):
        scale = [size * 2.0**number if axis in "yx" else 2.0 if axis == "z" else 1.0 for axis in letters]
        datasets.append({"path": path, "coordinateTransformations": [{"type": "scale", "scale": scale}]})
    return {"axes": axes_of(letters), "datasets": datasets, **more}


SIZES = {"t": 2, "c": 3, "z": 4, "y": 40, "x": 60}


def shape_of(letters, level=0):
    return tuple(SIZES[axis] >> level if axis in "yx" else SIZES[axis] for axis in letters)


def put_image(folder, key="", letters="tczyx", version=3, paths=("0", "1"), omero=None, dtype="uint16", **more):
    """An image of two levels, by 0.5 or 0.4."""
    ome = {"version": "0.5"} if version == 3 else {}
    entry = multiscale(letters, paths, **({"version": "0.4"} if version == 2 else {}), **more)
    ome |= {"multiscales": [entry], **({"omero": omero} if omero is not None else {})}
    put_group(folder, key, ome, version)
    for level, path in enumerate(paths):
        below = f"{key}/{path}" if key else path
        put_array(folder, below, shape_of(letters, level), version, dtype, names=letters)


def plate_of(folder, rows, columns, n_fields, version=3, paths=("0", "1")):
    wells = [f"{row}/{column}" for row in rows for column in columns]
    plate = {"rows": [{"name": row} for row in rows], "columns": [{"name": column} for column in columns]}
    put_group(folder, "", {"version": "0.5", "plate": {**plate, "wells": [{"path": well} for well in wells]}}, version)
    for well in wells:
        fields = [{"path": str(field)} for field in range(n_fields)]
        put_group(folder, well, {"version": "0.5", "well": {"images": fields}}, version)
        for field in range(n_fields):
            put_image(folder, f"{well}/{field}", "zyx", version, paths, name="of no use")
