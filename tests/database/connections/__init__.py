"""Tests of databases, pools, sessions, transactions and functions that run after a commit."""
