"""Tests of what is particular to MySQL and MariaDB."""
