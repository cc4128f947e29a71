"""Models, and rows of them, that tests of more than one folder use."""
