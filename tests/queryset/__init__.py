"""Tests of querysets, mostly over the small world of `tests.sample_models.players`."""
