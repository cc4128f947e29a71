"""Databases that other programs made: what the ORM reads of them, finds in them, and writes back."""
