"""Tests for MySQL and MariaDB alone."""
