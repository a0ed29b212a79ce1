# No doors: the casts are reached through `_tilecodec.convert`.
