"""Data sets in tar shards by the WebDataset convention: written, read, streamed."""
