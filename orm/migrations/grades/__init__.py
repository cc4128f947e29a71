"""Grades: what an operation of a revision does to a running application, on the server and table that it will meet."""
