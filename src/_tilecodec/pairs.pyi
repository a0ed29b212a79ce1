# No doors: the loops are reached through `_tilecodec.downsample`.
