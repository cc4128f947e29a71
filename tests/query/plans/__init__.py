"""Tests of plans: their cache, its keys and its reuse."""
