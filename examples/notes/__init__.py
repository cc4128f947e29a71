"""A notes service, once with Starlette and once with FastAPI, on the same model."""
