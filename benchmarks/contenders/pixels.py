"""What the writers write: images in memory, read from disk before the clock runs for the first counted time."""

from functools import lru_cache

import numpy as np

N_PLANES = 10_000


def _cut(image: np.ndarray, side: int) -> np.ndarray:
    """The image cut into squares, one behind the other."""
    rows, columns = image.shape[0] // side, image.shape[1] // side
    return image.reshape(rows, side, columns, side).swapaxes(1, 2).reshape(-1, side, side)


def shaped(image: np.ndarray, shape: str) -> np.ndarray:
    """The ``"plane"`` itself, a ``"stack"`` of 64 planes of 1024 x 1024, or 10,000 ``"planes"`` of 64 x 64."""
    if shape == "plane":
        return image
    return _cut(image, 1024) if shape == "stack" else _cut(image, 64)[:N_PLANES]


@lru_cache(maxsize=2)
def pixels(image: str, shape: str = "plane") -> np.ndarray:
    """An image in a shape, kept for the next round."""
    return np.ascontiguousarray(shaped(np.load(image), shape))


def sizes(shape: tuple[int, ...]) -> dict[str, int]:
    """Sizes as bfio calls them."""
    return dict(zip("YX", shape[-2:], strict=True)) | {"Z": shape[0] if len(shape) == 3 else 1, "C": 1, "T": 1}
