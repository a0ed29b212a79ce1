# No doors: the copies are reached through `_tilecodec.decode`.
