"""The TIFF writer: tiles in any order into a file whose structure stands at its front from the beginning."""
