"""Changes of models, each on a database with old rows: see `tests/migrations/test_matrix.py`."""
