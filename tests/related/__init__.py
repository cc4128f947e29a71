"""Tests of the managers on instances."""
