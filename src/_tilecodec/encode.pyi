import numpy as np
from typing_extensions import Buffer

LONG_ROW: int
N_PROGRESS: int
COMMITTED: int
STOP: int
ERRNO: int

def encode_tiles(
    format: Buffer,
    tasks: Buffer,
    level: int,
    src: np.ndarray,
    arena: Buffer,
    n_slots: int,
    progress: Buffer,
    nbytes: Buffer,
    offsets: Buffer,
    fd: int,
    end: Buffer | None,
    shared: bool,
    offset_entries: Buffer | None,
    count_entries: Buffer | None,
    entry_nbytes: int,
    budget: int,
) -> tuple[int, int]: ...
