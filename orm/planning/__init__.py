"""From a query to a plan: its fingerprint, its joins, its SQL, compiled once per shape."""
