"""Tests of migrations with Alembic."""
