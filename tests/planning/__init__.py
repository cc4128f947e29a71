"""Tests of planning: shapes, the plan cache, compilations, row readers."""
