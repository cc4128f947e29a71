"""The managers on instances: a relation's rows, read and written from one side."""
