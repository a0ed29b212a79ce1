# No doors: the jobs are reached through `_tilecodec.decode`.
