"""The service: the one path over HTTP. The only package that imports FastAPI."""
