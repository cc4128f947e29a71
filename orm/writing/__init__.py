"""Saving, inserting in bulk, graphs of new rows, and the preview of a delete."""
