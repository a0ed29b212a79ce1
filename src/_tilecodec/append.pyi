from typing_extensions import Buffer

CAN_SHARE: bool
N_END: int
SENT: int

def append_bytes(fd: int, end: Buffer, shared: bool, data: Buffer, limit: int) -> tuple[int, int, int]: ...
