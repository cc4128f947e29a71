"""Tests of model classes and their attributes."""
