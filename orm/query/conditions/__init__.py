"""Conditions: what a query's rows must fulfil."""
