"""Tests of related managers and reverse attributes."""
