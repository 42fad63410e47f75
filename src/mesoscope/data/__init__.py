"""Data sets on disk: layouts, manifests, splits, shards, audit and preparation."""
