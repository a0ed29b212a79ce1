# No doors: the image is reached through `_tilecodec.encode`.
