"""Tests that run the code of the documentation and the examples."""
