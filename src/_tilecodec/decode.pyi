import numpy as np
from typing_extensions import Buffer

def decode_tiles(
    format: Buffer,
    tasks: Buffer,
    fd: int,
    data: Buffer | None,
    out: np.ndarray,
    slab: Buffer | None,
    counter: Buffer,
    budget: int,
) -> tuple[int, int]: ...
