"""A notes service with Starlette and with FastAPI, on the same model."""
