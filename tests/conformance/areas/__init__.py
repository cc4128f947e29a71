"""The cases, by area; `ALL` has them in their order."""
