from typing_extensions import Buffer

def plan_plane(
    tasks: Buffer,
    first_task: int,
    plane: int,
    offsets: Buffer,
    byte_counts: Buffer,
    first_tile: int,
    plane_dst: int,
    size_y: int,
    tile_rows: int,
    tile_cols: int,
    tiles_across: int,
    strips: bool,
    y_start: int,
    y_step: int,
    y_count: int,
    x_start: int,
    x_step: int,
    x_count: int,
) -> int: ...
