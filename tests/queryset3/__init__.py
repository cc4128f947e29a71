"""Expressions, writes and pages on each server."""
