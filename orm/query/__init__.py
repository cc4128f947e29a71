"""A query as data, and what it compiles to: names are resolved to terms and conditions, and plans hold the SQL."""
