"""Django's names over `orm`, for Django's own tests. `modules.install()` puts them in place of Django's modules."""
