"""Tests of the statement log and what counts in it."""
