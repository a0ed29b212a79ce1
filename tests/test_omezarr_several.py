"""Several images in one store: each by a writer of its own, in any order, from threads and processes, after crashes."""

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial as partial_of

import numpy as np
import pytest

import bfio
from bfio import BioReader, UsageError
from bfio.omezarr.writing import collection, destination, folder, names

zarr = pytest.importorskip("zarr")

BioWriter = partial_of(bfio.BioWriter, durable=False)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "many.ome.zarr"


def image_of(number, dtype=np.uint16):
    return np.random.default_rng(number).integers(0, 250, (60 + number, 50, 1 + number)).astype(dtype)


def write(path, number, **options):
    with BioWriter(path, series=number, image=image_of(number), tile_size=32, **options):
        pass


def listed(path):
    """What the group OME lists, by zarr-python."""
    attributes = zarr.open_group(path, mode="r")["OME"].attrs
    return attributes.get("ome", attributes)["series"]


def check(path, numbers):
    """All images, by this package and by zarr-python; nothing unfinished is left."""
    assert listed(path) == [str(number) for number in numbers]
    for index, number in enumerate(numbers):
        with BioReader(path, series=index) as reader:
            np.testing.assert_array_equal(reader[:], image_of(number).reshape(reader[:].shape))
            assert reader.metadata.images[index].name == f"many.ome.zarr/{number}"
        found = zarr.open_group(path, mode="r")[f"{number}/0"][:]
        np.testing.assert_array_equal(found, image_of(number).transpose(2, 0, 1)[None, None])
    assert os.listdir(path.parent) == [path.name]
    assert not list(path.rglob(".bfio"))


@pytest.mark.parametrize("version", [2, 3])
def test_images_in_any_order(path, version):
    for number in (2, 0, 1):
        write(path, number, zarr_version=version if number == 2 else None, levels=2)
    check(path, [0, 1, 2])
    assert zarr.open_group(path, mode="r").metadata.zarr_format == version


@pytest.mark.parametrize("version", [2, 3])
def test_validators_accept_it(path, version):
    models = pytest.importorskip("ome_zarr_models")
    for number in range(3):
        write(path, number, zarr_version=version, physical_size_x=0.5, channel_names=["α"])
    group = zarr.open_group(path, mode="r")
    kinds = {2: models.v04.bioformats2raw, 3: pytest.importorskip("ome_zarr_models.v05.bioformats2raw")}
    found = kinds[version].BioFormats2Raw.from_zarr(group)
    assert sorted(found.members) == ["0", "1", "2"]
    pytest.importorskip("yaozarrs").validate_zarr_store(str(path))


def test_the_xml_describes_all_images_in_their_order(path):
    for number, name in ((1, "green"), (0, "red")):
        write(path, number, channel_names=[name], physical_size_x=1.0 + number)
    with BioReader(path) as reader:
        ome = reader.metadata
    assert [image.id for image in ome.images] == ["Image:0", "Image:1"]
    assert [image.pixels.channels[0].name for image in ome.images] == ["red", "green"]
    assert [image.pixels.physical_size_x for image in ome.images] == [1.0, 2.0]
    assert all(image.pixels.metadata_only for image in ome.images)


def test_gaps_are_allowed(path):
    write(path, 0)
    write(path, 7)
    assert listed(path) == ["0", "7"]
    with BioReader(path, series=1) as reader:
        np.testing.assert_array_equal(reader[:], image_of(7))


def test_threads_write_an_image_each(path):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(partial_of(write, path), range(8)))
    check(path, range(8))


def test_processes_write_an_image_each(path):
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        pool.map(partial_of(write, path), range(6), chunksize=1)
    check(path, range(6))


def test_an_image_is_replaced_only_when_told(path):
    write(path, 0)
    write(path, 1)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        BioWriter(path, series=1)
    with BioWriter(path, series=1, overwrite=True, image=np.ones((9, 9), np.uint8)):
        pass
    with BioReader(path, series=1) as reader:
        assert reader.shape == (9, 9) and reader[:].all()
    with BioReader(path) as reader:
        np.testing.assert_array_equal(reader[:], image_of(0).reshape(60, 50))


def test_an_image_is_added_to(path):
    write(path, 0, levels=2)
    write(path, 3, levels=2)
    with BioWriter(path, series=3, append=True) as writer:
        writer[10:20, 5:9, 2] = 1
    expected = image_of(3)
    expected[10:20, 5:9, 2] = 1
    with BioReader(path, series=1) as reader:
        np.testing.assert_array_equal(reader[:], expected)
    assert listed(path) == ["0", "3"]
    with BioWriter(path, series=4, append=True, image=image_of(4)):  # begins it, since it is not there
        pass
    assert listed(path) == ["0", "3", "4"]


def test_a_writer_that_fails_leaves_the_others(path):
    write(path, 0)
    with pytest.raises(ZeroDivisionError), BioWriter(path, series=1, shape=(61, 50, 2), dtype=np.uint16) as writer:
        writer[:, :, 0] = image_of(1)[:, :, 0]
        writer.flush()
        raise ZeroDivisionError
    assert listed(path) == ["0"]
    assert sorted(os.listdir(path.parent)) == [path.name, f"{path.name}.1.part"]
    with BioWriter(path, series=1, resume=True) as writer:
        assert all(key[2] == slice(1, 2) for key in writer.missing) and writer.missing
        writer[:, :, 1] = image_of(1)[:, :, 1]
    check(path, [0, 1])


def test_other_processes_attach_to_one_image(path):
    write(path, 0)
    with BioWriter(path, series=1, shape=(61, 50, 2), dtype=np.uint16, tile_size=32) as writer:
        writer.flush()
        guest = bfio.BioWriter.attach(path, series=1)
        guest[:, :, 1] = image_of(1)[:, :, 1]
        guest.close()
        writer[:, :, 0] = image_of(1)[:, :, 0]
    check(path, [0, 1])
    with pytest.raises(FileNotFoundError, match="begin the store"):
        bfio.BioWriter.attach(path, series=1)


CHILD = """
import os, sys
import numpy as np
import bfio
from bfio.omezarr.writing import destination
path, number = sys.argv[1], int(sys.argv[2])
destination.publish = lambda *arguments, **options: os._exit(9)  # killed when the image is listed, and has no name yet
with bfio.BioWriter(path, series=number, image=np.full((40, 30), number + 1, np.uint8)):
    pass
"""


@pytest.mark.parametrize("number", [0, 1])
def test_killed_before_the_image_gets_its_name(path, number):
    if number:
        write(path, 0)
    result = subprocess.run([sys.executable, "-c", CHILD, str(path), str(number)], check=False)
    assert result.returncode == 9
    with BioWriter(path, series=number, resume=True) as writer:
        assert not writer.missing
    with BioReader(path, series=number) as reader:
        assert (reader[:] == number + 1).all() and reader.shape == (40, 30)
    assert os.listdir(path.parent) == [path.name]


def test_killed_while_it_removed_what_another_one_left(path, monkeypatch):
    """Half a folder must not be gone on with."""
    part = path.with_name(f"{path.name}.1.part")
    with pytest.raises(ZeroDivisionError), BioWriter(path, series=1, image=image_of(1)):
        raise ZeroDivisionError
    assert part.exists()
    monkeypatch.setattr(folder, "_remove", lambda _: pytest.exit("killed"))
    with pytest.raises(pytest.exit.Exception):
        write(path, 1)
    monkeypatch.undo()
    assert not part.exists()


def test_what_killed_writers_left_is_removed(path):
    """Folders that were to appear or to be removed, and documents that were not whole."""
    write(path, 0)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    own = f"{names._host()}-{gone.pid}-0"
    for left in (path / f"0.{own}.old", path.with_name(f"{path.name}.0.part.{own}.begun")):
        shutil.copytree(path / "0", left)
    for left in (path / f"zarr.json.{own}.partial", path / "OME" / f"zarr.json.{own}.partial"):
        left.touch()
    other = path.with_name(f"{path.name}.more.{own}.old")  # of another store
    other.mkdir()
    write(path, 0, overwrite=True)
    assert sorted(os.listdir(path)) == ["0", "OME", "zarr.json"]
    assert sorted(os.listdir(path / "OME")) == ["METADATA.ome.xml", "zarr.json"]
    other.rmdir()
    check(path, [0])


@pytest.mark.parametrize("number", [0, 1])
def test_a_failure_takes_the_image_from_the_list(path, number, monkeypatch):
    if number:
        write(path, 0)

    def fail(*_, **__):
        raise OSError("no")

    monkeypatch.setattr(destination, "publish", fail)
    with pytest.raises(OSError, match="no"):
        write(path, number)
    monkeypatch.undo()
    assert path.exists() == bool(number)
    if number:
        assert listed(path) == ["0"]
    with BioWriter(path, series=number, resume=True):
        pass
    check(path, range(number + 1))


def test_a_store_that_can_not_have_more_images(path, tmp_path):
    with BioWriter(path, image=np.ones((5, 5), np.uint8)):
        pass
    with pytest.raises(UsageError, match="a store of one image"):
        BioWriter(path, series=1)
    plate = tmp_path / "plate.zarr"
    layout = {"bioformats2raw.layout": 3, "plate": {"rows": [], "columns": [], "wells": []}}
    zarr.create_group(plate, attributes={"ome": {"version": "0.5", **layout}})
    with pytest.raises(UsageError, match="a store of a plate"):  # readers take its wells alone
        BioWriter(plate, series=0)
    plain = tmp_path / "plain.zarr"
    zarr.create_array(plain, shape=(4, 4), dtype="u1")
    with pytest.raises(UsageError, match="something else"):
        BioWriter(plain, series=0)
    folder = tmp_path / "folder.zarr"
    folder.mkdir()
    (folder / "letter.txt").write_text("dear")
    with pytest.raises(UsageError, match="not a Zarr store"):
        BioWriter(folder, series=0, overwrite=True)
    file = tmp_path / "file.zarr"
    file.write_text("dear")
    with pytest.raises(FileExistsError):
        BioWriter(file, series=0, overwrite=True)
    assert file.read_text() == "dear"


def test_wrong_arguments(path, tmp_path):
    write(path, 0)
    with pytest.raises(UsageError, match="leave zarr_version= out"):
        BioWriter(path, series=1, zarr_version=2)
    for wrong in (-1, True, "2", 1.5):
        with pytest.raises(UsageError, match="series="):
            BioWriter(path, series=wrong)
    with pytest.raises(UsageError, match=r"names that end in \.zarr"):
        BioWriter(tmp_path / "a.ome.tif", series=1)
    write(path, 1)
    with pytest.raises(bfio.UnsupportedError, match="series="):
        BioWriter(path, append=True)


@pytest.mark.filterwarnings("ignore:Object at METADATA")
def test_a_store_of_bioformats2raw_gets_another_image(path):
    """Its names, attributes and OME-XML stay; documents of the whole store in one do not, as they would lie."""
    write(path, 0, zarr_version=2, channel_names=["first"])
    write(path, 1, zarr_version=2)
    for number in (0, 1):
        shutil.rmtree(path / str(number) / "OME")
    attributes = json.loads((path / "OME" / ".zattrs").read_text())
    (path / "OME" / ".zattrs").write_text(json.dumps(attributes | {"creator": "somebody"}))
    zarr.consolidate_metadata(path)
    with BioReader(path) as reader:
        assert len(reader.series) == 2
    write(path, 2, channel_names=["third"])
    with BioReader(path) as reader:
        names = [image.pixels.channels[0].name for image in reader.metadata.images]
        assert len(reader.series) == 3 and names == ["first", None, "third"]
    assert json.loads((path / "OME" / ".zattrs").read_text()) == {"creator": "somebody", "series": ["0", "1", "2"]}


def test_a_store_that_lists_nothing_keeps_what_its_xml_tells(path):
    """Older versions of bioformats2raw number the images, and list them nowhere."""
    for number in range(2):
        write(path, number, zarr_version=2)
    for number in range(2):
        shutil.rmtree(path / str(number) / "OME")
    for document in (path / "OME").glob(".z*"):
        document.unlink()
    xml = path / "OME" / "METADATA.ome.xml"
    xml.write_text(xml.read_text().replace("<Pixels ", "<Description>old</Description><Pixels "))
    write(path, 2)
    with BioReader(path) as reader:
        assert [image.description for image in reader.metadata.images] == ["old", "old", None]
    assert listed(path) == ["0", "1", "2"]


def test_images_whose_xml_is_missing_are_described_from_their_arrays(path):
    write(path, 0, channel_names=["lost"])
    shutil.rmtree(path / "OME")
    shutil.rmtree(path / "0" / "OME")
    write(path, 1)
    with BioReader(path) as reader:
        assert [image.pixels.size_y for image in reader.metadata.images] == [60, 61]
        assert reader.channel_names == ["lost"]


def test_broken_xml_stays_and_is_told_of(path, caplog):
    write(path, 0)
    (path / "0" / "OME" / "METADATA.ome.xml").write_text("<OME")
    write(path, 1)
    assert "was not written anew" in caplog.text
    assert listed(path) == ["0", "1"]


def test_a_lock_that_a_killed_process_left_is_no_obstacle(path):
    path.with_name(f"{path.name}.lock").touch()
    write(path, 0)
    check(path, [0])


def test_the_same_images_give_the_same_documents(path, tmp_path):
    other = tmp_path / "other" / path.name
    other.parent.mkdir()
    for store, order in ((path, (0, 1, 2)), (other, (2, 1, 0))):
        for number in order:
            write(store, number)
    for key in ("zarr.json", "OME/zarr.json", "OME/METADATA.ome.xml"):
        assert (path / key).read_bytes() == (other / key).read_bytes()
    assert collection.version_of(path) == "0.5"
