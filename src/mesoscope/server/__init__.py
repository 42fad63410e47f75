"""HTTP service. The only package that imports FastAPI."""
