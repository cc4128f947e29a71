"""Tests for SQLite alone."""
