from typing_extensions import Buffer

METHODS: tuple[str, ...]

def downsample_planes(src: Buffer, dst: Buffer, how: int, kind: int, counter: Buffer, budget: int) -> bool: ...
