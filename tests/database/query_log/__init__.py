"""Tests of the statement log and of what counts statements."""
