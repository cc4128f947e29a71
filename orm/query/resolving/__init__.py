"""Resolving: names and expressions of a query become terms and conditions."""
