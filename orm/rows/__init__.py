"""Generated code between rows and objects; it knows no SQL."""
