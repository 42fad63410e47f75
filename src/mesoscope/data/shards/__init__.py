"""Data sets in tar files, after the convention of WebDataset: written, read, streamed."""
