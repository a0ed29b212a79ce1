"""Every value of the documents of a store becomes another one: bfio's errors only."""

import json
import logging

import pytest
from omezarr_files import put_array, put_group, put_image

from bfio import Limits
from bfio.errors import BfioError
from bfio.omezarr.nodes import Folder
from bfio.omezarr.series import read_series

NAN = float("nan")


def series_of(folder):
    return read_series(Folder(folder), Limits())


def _one_image(folder, version):
    put_image(folder, letters="zyx", version=version, omero={"channels": [{"label": "a", "color": "FF0000"}]})


def _plate(folder, version):
    plate = {"rows": [{"name": "A"}], "columns": [{"name": "1"}], "wells": [{"path": "A/1", "rowIndex": 0}]}
    put_group(folder, "", {"version": "0.5", "plate": plate}, version)
    put_group(folder, "A/1", {"version": "0.5", "well": {"images": [{"path": "0", "acquisition": 0}]}}, version)
    put_image(folder, "A/1/0", "yx", version, paths=("0",))


def _series(folder, version):
    put_group(folder, "", {"bioformats2raw.layout": 3}, version)
    put_group(folder, "OME", {"series": ["0"]}, version)
    put_image(folder, "0", "yx", version, paths=("0",))
    put_group(folder, "0/labels", {"labels": ["cells"]}, version)
    put_image(folder, "0/labels/cells", "yx", version, paths=("0",))


def _system(folder, version):
    system = {"name": "physical", "axes": [{"name": "y", "type": "space"}, {"name": "x", "type": "space"}]}
    scale = {"type": "scale", "scale": [0.5, 0.5], "input": "0", "output": "physical"}
    step = {"type": "sequence", "transformations": [scale], "output": {"name": "physical"}}
    entry = {"coordinateSystems": [system, {**system, "name": "b"}], "datasets": [{"path": "0"}]}
    entry["datasets"][0]["coordinateTransformations"] = [step]
    put_group(folder, "", {"version": "0.6", "multiscales": [entry]}, version)
    put_array(folder, "0", (40, 60), version)


@pytest.mark.parametrize(
    ("make", "version"), [(_one_image, 2), (_one_image, 3), (_plate, 3), (_series, 2), (_system, 3)]
)
def test_documents_with_values_exchanged(tmp_path, monkeypatch, make, version):
    """Any value of any document becomes something else: an error of bfio, or a series."""
    monkeypatch.setattr(logging.getLogger("bfio.omezarr"), "disabled", True)
    make(tmp_path, version)
    for path in [file for file in sorted(tmp_path.rglob("*")) if file.is_file()]:
        whole = path.read_text()
        for keys in _places(json.loads(whole)):
            for value in (None, [], {}, "x", -1, [[]], NAN):
                path.write_text(json.dumps(_exchanged(json.loads(whole), keys, value)))
                try:
                    found = series_of(tmp_path)
                except BfioError as error:
                    assert "\n" not in str(error)
                else:
                    assert found[0].info.size_x >= 1
        path.write_text(whole)
    assert len(series_of(tmp_path)) >= 1


def _places(value, keys=()):
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in inner:
        yield (*keys, key)
        yield from _places(below, (*keys, key))


def _exchanged(document, keys, value):
    place = document
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    return document
