"""Tests of lookups, of transforms in names and of JSON paths."""
