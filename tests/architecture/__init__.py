"""Tests of the checks that hold the layers and the vocabulary of `orm`."""
