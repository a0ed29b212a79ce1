import numpy as np
from numpy.typing import NDArray

def read_values(
    fd: int,
    data: bytes | NDArray[np.uint8] | None,
    position: int,
    field_type: int,
    swap: bool,
    out: NDArray[np.uint64],
) -> int: ...
