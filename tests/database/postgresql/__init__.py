"""Tests of what is particular to PostgreSQL."""
