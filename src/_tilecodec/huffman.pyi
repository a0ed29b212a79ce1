# No doors: the codes are reached through `_tilecodec.compress`.
