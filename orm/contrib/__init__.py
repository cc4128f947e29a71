"""Integrations with other libraries and frameworks. Nothing in `orm` imports them."""
