"""Column types, and how each database stores their values."""
