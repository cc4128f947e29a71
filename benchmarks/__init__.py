"""Measures `orm` beside the raw drivers and its peers: see README.md here."""
