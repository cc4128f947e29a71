"""Measures `orm`, the raw drivers and other ORMs: see README.md in this folder."""
