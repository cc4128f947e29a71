"""Tests of databases, pools, sessions, transactions and what runs at a commit."""
