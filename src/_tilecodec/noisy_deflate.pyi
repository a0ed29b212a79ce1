# No doors: deflate is reached through `_tilecodec.compress`.
