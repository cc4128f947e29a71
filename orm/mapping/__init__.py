"""What a model class declares: its fields, table, constraints, constructor and validators."""
