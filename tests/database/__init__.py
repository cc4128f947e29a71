"""Tests of `orm.database`: connections, sessions, transactions, errors and hooks, on real servers."""
