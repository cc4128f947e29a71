"""Schemas that other programs have made, as SQL of our own with the tables and columns of theirs."""
