"""A file that Bio-Formats writes: blocks in any order, from any thread; Java gets each pixel once, and in its order."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import numpy as np

from bfio._coverage import Coverage
from bfio.bioformats.writing.folder import PartFolder
from bfio.bioformats.writing.missing import Region, missing_regions
from bfio.bioformats.writing.pieces import Piece, pieces
from bfio.bioformats.writing.queue import Band, BandQueue
from bfio.bioformats.writing.recipe import TIFF_WRITER, Recipe
from bfio.bioformats.writing.saver import JavaSaver
from bfio.bioformats.writing.store import BandStore
from bfio.errors import TileWriteError, UnsupportedError, UsageError
from bfio.selection import Box

__all__ = ["JavaSession"]

logger = logging.getLogger("bfio")

WAITING_NBYTES = 256 << 20
"""Complete bands that wait for Java alone: more of them let their writers wait, so that the disk does not fill up."""


class JavaSession:
    """One file, from its first block to its name.

    Parameters
    ----------
    path : Path
        The final name.
    recipe : Recipe
    xml : str
    durable : bool
    """

    def __init__(self, path: Path, recipe: Recipe, xml: str, *, durable: bool) -> None:
        self.path, self.recipe = path, recipe
        self._durable = durable
        self._lock = threading.Lock()  # of the Java writer
        rows, cols = recipe.tile_shape[0], recipe.series.size_x
        samples = recipe.series.samples
        nbytes = samples * rows * cols * recipe.dtype.itemsize
        self.queue = BandQueue(recipe.n_planes * recipe.n_bands, max(2, WAITING_NBYTES // nbytes))
        self._store = BandStore(path.parent, (samples, rows, cols), recipe.dtype)
        self._folder = PartFolder(path)
        try:
            self._saver = JavaSaver(self._folder.file, recipe, xml, str(path))
        except BaseException:
            self._folder.remove()
            raise
        self._closed = False
        self._n_active = 0  # calls of write() that have not returned

    # -- blocks -------------------------------------------------------------------------------------------------------

    def write(self, box: Box, block: np.ndarray) -> None:
        """Store the pixels of a box; see :class:`bfio.backends.base.WriterBackend`."""
        if 0 in box.shape:
            return
        if box.y.step != 1 or box.x.step != 1:
            raise UsageError("rows and columns are written without steps; write the rows one by one")
        with self.queue.changed:
            self._n_active += 1
        try:
            for piece in pieces(box, block, self.recipe):
                self._write_piece(piece)
        finally:
            with self.queue.changed:
                self._n_active -= 1
                self.queue.changed.notify_all()

    def _write_piece(self, piece: Piece) -> None:
        with self.queue.changed:
            self._check(piece)
            claimed = piece.is_whole and self.queue.claim(piece.band, Band(piece.coverage()))
        if claimed:
            self._hand_over_claimed(piece)
        else:
            self._keep(piece)

    def _check(self, piece: Piece) -> None:
        if self._closed:
            raise UsageError(f"{self.path.name} is closed; make a new writer to write it again")
        self.queue.check(self.path.name)
        if self.queue.is_gone(piece.band):
            raise UsageError(
                f"{self.path.name}: rows {piece.rows.start} to {piece.rows.stop} of {self._plane_name(piece.band)} are "
                f"in the file already, and {self.recipe.format.name} can not take them again; write each pixel once"
            )

    def _plane_name(self, band: int) -> str:
        return self.recipe.plane_name(band // self.recipe.n_bands)

    def _hand_over_claimed(self, piece: Piece) -> None:
        """Wait for the turn of a band that this thread has as a whole, hand it over, and what follows."""
        try:
            with self.queue.changed:
                self.queue.wait_turn(piece.band, self.path.name)
            self._save(piece.band, piece.pixels)
        except BaseException as error:
            with self.queue.changed:
                self.queue.fail(error)
            raise
        with self.queue.changed:
            self.queue.done()
        self._drain()

    def _keep(self, piece: Piece) -> None:
        """Keep a part of a band in the store; hand it over when it is whole and its turn."""
        with self.queue.changed:
            self._check(piece)
            band = self.queue.bands.get(piece.band)
            if band is None:
                band = self.queue.bands[piece.band] = Band(piece.no_coverage())
            if band.slot < 0:
                band.slot = self._store.take()
            band.busy += 1
        kept = False
        try:
            self._store.write(band.slot, piece.first_sample, piece.y - piece.rows.start, piece.x, piece.pixels)
            kept = True
        except OSError as error:  # the block can be written again when there is room
            raise self._store_error(piece, error) from error
        finally:
            with self.queue.changed:
                self._kept(piece, band, kept=kept)
            self._drain()
        with self.queue.changed:
            self.queue.wait_room(piece.band, self.path.name)

    def _kept(self, piece: Piece, band: Band, *, kept: bool) -> None:
        band.busy -= 1
        for rect in piece.rects() if kept else ():
            band.coverage.add(rect)
        if band.coverage.complete and not band.busy:
            self.queue.complete(piece.band)

    def _store_error(self, piece: Piece, error: OSError) -> TileWriteError:
        plane, index = divmod(piece.band, self.recipe.n_bands)
        reason = f"{error.strerror or error} (in the temporary file beside it, which keeps planes that are not whole)"
        return TileWriteError(str(self.path), plane, index, 0, reason, error.errno)

    # -- Java ---------------------------------------------------------------------------------------------------------

    def _drain(self) -> None:
        """Hand over the bands that are complete, from the next one on, unless another thread does."""
        while True:
            with self.queue.changed:
                number = self.queue.start()
            if number is None:
                return
            self._save_stored(number)

    def _save_stored(self, number: int) -> None:
        band = self.queue.bands[number]
        try:
            rows = self.recipe.rows_of(number % self.recipe.n_bands)
            self._save(number, self._stored(band, len(rows)))
        except BaseException as error:
            with self.queue.changed:
                self.queue.fail(error)
            raise
        with self.queue.changed:
            self._store.give_back(self.queue.done().slot)

    def _stored(self, band: Band, n_rows: int) -> np.ndarray:
        """Pixels (samples, rows, columns) of a band in the store, 0 where it was not written."""
        pixels = self._store.read(band.slot, n_rows)
        flat = pixels.reshape(-1, pixels.shape[2])
        for y0, y1, x0, x1 in () if band.coverage.complete else band.coverage.uncovered():
            flat[y0:y1, x0:x1] = 0
        return pixels

    def _save(self, number: int, pixels: np.ndarray) -> None:
        plane, index = divmod(number, self.recipe.n_bands)
        with self._lock:
            try:
                self._saver.save(plane, self.recipe.rows_of(index).start, pixels)
            except OSError as error:
                reason = error.strerror or str(error)
                raise TileWriteError(str(self.path), plane, index, 0, reason, error.errno) from error

    # -- the end ------------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Refused: Java's writers have no checkpoints."""
        raise UnsupportedError(f"{self.path.name}: Bio-Formats has no checkpoints (flush); {TIFF_WRITER}")

    @property
    def missing(self) -> list[Region]:
        """Regions that were not written yet."""
        with self.queue.changed:
            return missing_regions(self.recipe, self.queue)

    def close(self) -> None:
        """Finish the file and give it its name. Closing twice is allowed."""
        with self.queue.changed:
            if self._closed:
                return
            self.queue.check(self.path.name)
            self._closed = True
            self.queue.changed.wait_for(lambda: not self._n_active)
            self.queue.check(self.path.name)
        self._fill()
        with self._lock:
            self._saver.close()
        self._store.close()
        self._folder.publish(durable=self._durable)

    def _fill(self) -> None:
        """Hand over what is left; what was never written is 0."""
        queue, recipe = self.queue, self.recipe
        lacking: set[int] = set()
        while queue.next < queue.n_bands:
            number = queue.next
            with queue.changed:
                band = queue.bands.get(number)
                if band is None or not band.coverage.complete:
                    lacking.add(number // recipe.n_bands)
                if band is None:
                    queue.bands[number] = Band(Coverage(1, 1))
            rows = len(recipe.rows_of(number % recipe.n_bands))
            shape = (recipe.series.samples, rows, recipe.series.size_x)
            pixels = np.zeros(shape, recipe.dtype) if band is None or band.slot < 0 else self._stored(band, rows)
            self._save(number, pixels)
            with queue.changed:
                queue.done()
        if lacking:
            logger.warning("%s: %d of %d planes were not written, or not whole; there it holds 0",
                           self.path, len(lacking), recipe.n_planes)  # fmt: skip

    def abandon(self) -> None:
        """Release the file as it is: the folder stays, nothing gets the final name. Twice is allowed."""
        with self.queue.changed:
            self._closed = True
            if self.queue.failure is None:
                self.queue.fail(UsageError("the writer was abandoned"))
        with self._lock:
            try:
                self._saver.close()
            except Exception as error:  # noqa: BLE001 - the file is given up anyway
                logger.debug("%s: Bio-Formats closed an unfinished file with %s", self.path, error)
        self._store.close()
        if self._folder.path.exists():
            logger.info("%s can not be read or resumed; the next writer of this file replaces it", self._folder.path)
        self._folder.release()
