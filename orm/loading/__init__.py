"""From rows to objects."""
