"""Tests of queries: conditions, terms, ordering, locks and plans."""
