"""Tests of saving, of bulk writes and of upserts."""
