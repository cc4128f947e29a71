"""SQL constructs that each dialect compiles in its own way."""
