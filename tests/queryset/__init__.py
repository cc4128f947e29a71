"""Tests of querysets, mostly over the small world of `tests.queryset.world`."""
