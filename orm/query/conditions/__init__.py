"""Predicates: the resolved conditions of a query."""
