"""A model class as declared: its fields, table, constraints, constructor and validator."""
