"""Sessions: a unit of work over the models, with SQLAlchemy's names."""
