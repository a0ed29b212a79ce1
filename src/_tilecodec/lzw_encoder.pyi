# No doors: LZW is reached through `_tilecodec.compress`.
