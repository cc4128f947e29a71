"""Diagrams of models or of a database's tables: as SVG, Mermaid or DOT."""

from orm.diagrams.entities import Entity, Link, entities_of_models, entities_of_tables
from orm.diagrams.svg import svg
from orm.diagrams.text import dot, mermaid

FORMATS = {"svg": svg, "mermaid": mermaid, "dot": dot}
"""The functions that draw entities, by the name of the format."""

__all__ = ["FORMATS", "Entity", "Link", "dot", "entities_of_models", "entities_of_tables", "mermaid", "svg"]
