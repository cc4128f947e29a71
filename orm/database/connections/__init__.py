"""Databases, pools, connections, sessions and transactions."""
