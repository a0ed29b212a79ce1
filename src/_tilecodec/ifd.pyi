import numpy as np
from numpy.typing import NDArray

RECORD_NBYTES: int

def walk(
    fd: int,
    data: bytes | NDArray[np.uint8] | None,
    pieces: NDArray[np.uint64] | None,
    file_nbytes: int,
    first_offset: int,
    bigtiff: bool,
    swap: bool,
    records: NDArray[np.uint8],
) -> tuple[int, int, int, int, int]: ...
def read_ifds(
    fd: int,
    data: bytes | NDArray[np.uint8] | None,
    pieces: NDArray[np.uint64] | None,
    file_nbytes: int,
    offsets: NDArray[np.uint64],
    bigtiff: bool,
    swap: bool,
    records: NDArray[np.uint8],
) -> tuple[int, int, int, int]: ...
