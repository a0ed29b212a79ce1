from typing_extensions import Buffer

def undo(
    buffer: Buffer, rows: int, width: int, samples: int, item_size: int, predictor: int, swap: bool
) -> None: ...
