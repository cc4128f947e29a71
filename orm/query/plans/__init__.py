"""Plans: a statement compiled once for each shape of a query, with its binds and its row reader."""
