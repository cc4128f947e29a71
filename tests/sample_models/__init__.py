"""Models and rows that the tests of several folders use."""
