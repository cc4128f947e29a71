"""Plans: statements compiled once for each cache key, with their binds and row readers."""
