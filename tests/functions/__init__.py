"""Tests of database functions and aggregates, compared with Django."""
