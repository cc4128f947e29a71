"""Faults that are made to happen: connections and servers are killed, tasks are cancelled, processes die in mid-write.

The sizes are small in the suite. `make faults` runs the sizes of docs/reliability.md (FAULTS=full).
"""
