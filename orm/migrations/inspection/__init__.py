"""`orm inspectdb`: the source of models for the tables of a database."""

from orm.migrations.inspection.models import inspect_models

__all__ = ["inspect_models"]
