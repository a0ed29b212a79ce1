"""bfio: read and write microscopy images of any size with one numpy-like face."""
