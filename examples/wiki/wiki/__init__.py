"""The wiki: pages that anybody edits, and their history."""
