from typing_extensions import Buffer

KINDS: tuple[str, ...]

def convert_array(
    src: Buffer, dst: Buffer, src_kind: int, dst_kind: int, rescale: bool, scale: float, offset: float
) -> None: ...
def fill_array(dst: Buffer, item: bytes) -> None: ...
