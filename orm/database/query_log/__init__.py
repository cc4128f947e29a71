"""The statement log: events, call sites, counts and repeated queries."""
