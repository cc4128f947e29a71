"""One file for each subject that is measured."""
