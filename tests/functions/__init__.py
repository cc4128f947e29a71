"""Functions of the database, transforms in names, and JSON, held against Django's answers."""
