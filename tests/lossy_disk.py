"""A disk that loses at random what nobody synced: files are torn, names are old or new ones.

Names that begin alike are old or new together: those of a shard change one after the other, and file systems keep the order.
"""

import os
import shutil
import stat
import threading


class PowerFailure(BaseException):
    """The machine goes off."""


class LossyDisk:
    """Stands in for ``os.fsync`` below a folder, and keeps in mind what is certain."""

    def __init__(self, root, graves, monkeypatch):
        self.root, self._graves = root, graves
        graves.mkdir()
        self._contents, self._names = {}, {}  # of inodes
        self._lock = threading.Lock()
        self.log, self.fails_at = [], None
        make = os.mkdir

        def mkdir(path, *args, **options):
            make(path, *args, **options)
            self._names.pop(os.stat(path).st_ino, None)  # of an older folder

        monkeypatch.setattr(os, "mkdir", mkdir)
        monkeypatch.setattr(os, "fsync", self.fsync)

    def fsync(self, fd):
        with self._lock:
            if self.fails_at is not None and len(self.log) >= self.fails_at:
                raise PowerFailure
            path, status = os.readlink(f"/proc/self/fd/{fd}"), os.fstat(fd)
            self.log.append(path)
            if stat.S_ISDIR(status.st_mode):
                self._names[status.st_ino] = {entry.name: entry.inode() for entry in os.scandir(path)}
                return
            if status.st_ino not in self._contents:
                os.link(path, self._graves / str(status.st_ino))  # its number is not given to another file
            with open(self._graves / str(status.st_ino), "rb") as file:
                self._contents[status.st_ino] = file.read()

    def lose(self, rng):
        """Leave what a loss of power may leave."""
        self.fails_at = None
        after = self.root.with_name("after")
        self._rebuild(self.root, after, rng)
        shutil.rmtree(self.root)
        after.rename(self.root)
        self._contents.clear()
        self._names.clear()
        shutil.rmtree(self._graves)
        self._graves.mkdir()
        self._all_is_certain(self.root)

    def _rebuild(self, folder, to, rng):
        to.mkdir()
        now = {entry.name: entry.inode() for entry in os.scandir(folder)}
        then = self._names.get(folder.stat().st_ino, {})
        names = sorted({*now, *then})
        chosen = {name.partition(".")[0]: [now, then][rng.integers(2)] for name in names}
        for name in names:
            number = chosen[name.partition(".")[0]].get(name)
            if number is None:
                continue
            path = folder / name
            if path.is_dir() and now.get(name) == number:
                self._rebuild(path, to / name, rng)
            elif number in self._contents:
                (to / name).write_bytes(self._contents[number])
            elif now.get(name) == number:
                data = path.read_bytes()
                (to / name).write_bytes([b"", bytes(len(data)), data[: len(data) // 2], data][rng.integers(4)])

    def _all_is_certain(self, folder):
        for one, _, names in os.walk(folder):
            for path in (one, *(os.path.join(one, name) for name in names)):
                fd = os.open(path, os.O_RDONLY)
                self.fsync(fd)
                os.close(fd)
