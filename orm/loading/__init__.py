"""Loading related rows: joined, prefetched, or as a graph in one statement."""
