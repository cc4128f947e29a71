"""Tests of fields and of the values that they store."""
