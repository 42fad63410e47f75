"""The service: the one path over HTTP. The only room where FastAPI stands."""
