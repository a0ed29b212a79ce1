from typing_extensions import Buffer

def apply(
    dst: Buffer, src: Buffer, rows: int, width: int, samples: int, item_size: int, predictor: int
) -> None: ...
