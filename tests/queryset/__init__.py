"""Tests of querysets, mostly on the models of `tests.sample_models.players`."""
