"""The managers of related rows, the attributes that hold them, and the rows of through models."""
