"""Tests of what a model class declares."""
