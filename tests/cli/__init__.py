"""Tests of the command `orm`."""
