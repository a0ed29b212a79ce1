"""A store of several images, in the layout of bioformats2raw: its groups, the list of its images, their OME-XML.

OME-NGFF, "bioformats2raw.layout": each image is a group of its own, the group ``OME`` lists them, and
``OME/METADATA.ome.xml`` describes them in the order of that list.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bfio.errors import BfioError, UsageError
from bfio.limits import Limits
from bfio.omexml.build import build_xml
from bfio.omexml.union import one_image, union
from bfio.omezarr.document import Documents, Group
from bfio.omezarr.images import ome_attributes
from bfio.omezarr.merge import ome_xml_of
from bfio.omezarr.metadata_out import VERSIONS, group_documents
from bfio.omezarr.nodes import Folder
from bfio.omezarr.series import read_series
from bfio.omezarr.tree import LAYOUT, image_keys
from bfio.omezarr.writing.folder import BEGUN, remove_partials, sweep, write_file
from bfio.omezarr.writing.names import own_name
from bfio.omezarr.writing.state import NOTES, SEVERAL
from bfio.omezarr.writing.unsynced import sync_folder
from bfio.omezarr.xml_out import metadata_only
from bfio.target import PART, is_zarr_store

__all__ = ["check_collection", "describe", "empty_collection", "has_image", "joined", "version_of"]

logger = logging.getLogger("bfio")

_XML = "OME/METADATA.ome.xml"

if sys.platform != "win32":
    import fcntl


def has_image(store: Path, name: str) -> bool:
    """Whether an image is there."""
    return is_zarr_store(store / name)


def version_of(store: Path) -> str | None:
    """Version of OME-Zarr of a store that is there, as it is written; None where there is none."""
    if not os.path.lexists(store):
        return None
    root = Documents(Folder(store), Limits()).node("")
    return "0.5" if root is not None and root.zarr_format == 3 else "0.4"


def check_collection(store: Path, version: str | None) -> None:
    """Refuse a store that is no collection, or one of another version.

    Parameters
    ----------
    store : Path
        It may be missing.
    version : str or None
        The version of OME-Zarr that an image of it is to have; None for that of the store.

    Raises
    ------
    UsageError, FormatError
    """
    if not os.path.lexists(store):
        return
    root = Documents(Folder(store), Limits()).node("")
    attributes = ome_attributes(root) if isinstance(root, Group) else {}
    what = "one image" if "multiscales" in attributes else "a plate" if "plate" in attributes else "something else"
    is_listed = isinstance(root, Group) and (LAYOUT in attributes or LAYOUT in root.attributes)
    if not isinstance(root, Group) or not is_listed or what != "something else":
        raise UsageError(
            f"{store.name} is a store of {what}, and series= writes into stores of several images that were begun "
            "that way; choose another name"
        )
    if version is not None and VERSIONS[version] != root.zarr_format:
        raise UsageError(
            f"{store.name} has Zarr version {root.zarr_format}, as all its images must: leave zarr_version= out"
        )


@contextmanager
def joined(store: Path, name: str, folder: Path, version: str, *, durable: bool) -> Iterator[None]:
    """List an image in a store, which is begun if it is missing; within, no other process does so.

    The image gets its name within. A crash before that leaves a list that names it, and `folder` to resume; a failure
    takes it from the list again. A store that has not got its name itself has its list written at the end, and once.

    Parameters
    ----------
    store : Path
    name : str
        Of the image's group.
    folder : Path
        Where the finished image is until then.
    version : str
        Of OME-Zarr.
    durable : bool
    """
    if store.suffix == PART and (store / NOTES / SEVERAL).exists():
        yield  # its one writer describes it at the end
        return
    with _locked(store):
        is_new = not os.path.lexists(store)
        if is_new:
            _begin(store, name, folder, version, durable=durable)
        else:
            check_collection(store, version)
            describe(store, {name: folder}, durable=durable)
        try:
            yield
        except BaseException:
            if is_new and not has_image(store, name):
                shutil.rmtree(store, ignore_errors=True)
            else:
                describe(store, {}, durable=durable)
            raise


def empty_collection(version: str) -> dict[str, bytes]:
    """Documents of a store without images, by key."""
    return group_documents("", version, {LAYOUT: 3}) | group_documents("OME", version, {"series": []})


def _begin(store: Path, name: str, folder: Path, version: str, *, durable: bool) -> None:
    """A store that lists one image; it appears as a whole."""
    sweep(store)
    fresh = Path(own_name(store, BEGUN))
    try:
        for key, data in empty_collection(version).items():
            write_file(fresh / key, data, durable=durable)
        describe(fresh, {name: folder}, durable=durable)
        os.rename(fresh, store)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    if durable:
        sync_folder(store.parent)


def describe(store: Path, coming: Mapping[str, Path], *, durable: bool) -> None:
    """Write the list of images and their OME-XML anew: of those that are there, and of some that are about to be.

    Parameters
    ----------
    store : Path
    coming : mapping
        Where these are meanwhile, by their names.
    durable : bool
    """
    for group in (store, store / "OME"):
        remove_partials(group)
    documents = Documents(Folder(store), Limits())
    root = documents.node("")
    assert isinstance(root, Group)
    listed = image_keys(documents, root)
    names = _names(store, listed, coming)
    xml = _xml(store, names, listed, coming) if names else None
    version = "0.5" if root.zarr_format == 3 else "0.4"
    inner = documents.node("OME", root.zarr_format)
    known = dict(ome_attributes(inner)) if isinstance(inner, Group) else {}
    made = group_documents("OME", version, known | {"series": names})
    if xml is not None:
        made[_XML] = xml.encode("utf-8")
    for key, data in made.items():
        write_file(store / key, data, durable=durable)
    _drop_consolidated(store)
    if durable:
        sync_folder(store / "OME")


def _names(store: Path, listed: list[str], coming: Mapping[str, Path]) -> list[str]:
    """All images, by number; where others have given them names, in their order, and ours behind them."""
    found = {entry.name for entry in os.scandir(store) if entry.name.isascii() and entry.name.isdigit()}
    ours = sorted({*coming, *found}, key=int)
    names = [name for name in dict.fromkeys([*listed, *ours]) if name in coming or has_image(store, name)]
    return sorted(names, key=int) if all(name.isascii() and name.isdigit() for name in names) else names


def _xml(store: Path, names: list[str], listed: list[str], coming: Mapping[str, Path]) -> str | None:
    """OME-XML of all images; None, with a word in the log, where that of one of them can not be had."""
    try:
        former = ome_xml_of(Folder(store), Limits())
        found = [_xml_of(coming.get(name, store / name), name, former, listed) for name in names]
        return metadata_only(union(found))[0]
    except (BfioError, OSError) as error:
        logger.warning("%s: %s was not written anew: %s", store, _XML, error)
        return None


def _xml_of(image: Path, name: str, former: str | None, listed: list[str]) -> str:
    """OME-XML of one image: its own, that which the store has of it, or what its arrays tell."""
    own = ome_xml_of(Folder(image), Limits())
    if own is not None:
        return own
    if former is not None and name in listed:
        return one_image(former, listed.index(name))
    info = read_series(Folder(image), Limits())[0].info
    return build_xml(info, info.name or name)


def _drop_consolidated(store: Path) -> None:
    """Documents of the whole store in one: they do not know the new image, and nobody needs them in a folder."""
    (store / ".zmetadata").unlink(missing_ok=True)
    path = store / "zarr.json"
    if path.exists():
        root: dict[str, Any] = json.loads(path.read_bytes())
        if root.pop("consolidated_metadata", None) is not None:
            write_file(path, json.dumps(root, indent=2).encode(), durable=True)


@contextmanager
def _locked(store: Path) -> Iterator[None]:
    """One process at a time; the file of the lock is beside the store, and is removed by who holds it."""
    if sys.platform == "win32":
        yield
        return
    path = store.with_name(f"{store.name}.lock")
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            if _is_same(fd, path):
                break
        except OSError:  # no locks here
            break
        os.close(fd)  # of a holder that is done: it has removed the file
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(fd)


def _is_same(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False
