"""Querysets and managers: what a user chains, awaits and iterates."""
