"""TIFF: tags, IFDs, tile layouts, dialects, and the reader that joins them."""
