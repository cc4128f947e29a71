"""Tests of the declarations of a model class."""
