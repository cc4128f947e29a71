"""Tests of the generated code between rows and objects."""
