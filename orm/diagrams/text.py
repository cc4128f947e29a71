"""Diagrams as text: Mermaid's entity-relationship diagrams, and DOT of Graphviz."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from orm.diagrams.entities import Entity, Link


def mermaid(entities: Sequence[Entity]) -> str:
    """An `erDiagram` of Mermaid, which GitHub and MkDocs draw."""
    lines = ["erDiagram"]
    for entity in entities:
        lines.append(f"    {_word(entity.name)} {{")
        for each in entity.attributes:
            key = " PK" if each.is_key else ""
            lines.append(f"        {_word(each.kind)} {_word(each.name)}{key}")
        lines.append("    }")
    names = {entity.name for entity in entities}
    for entity in entities:
        for link in entity.links:
            if link.target in names:
                lines.append(f'    {_word(link.source)} {_ends(link)} {_word(link.target)} : "{_word(link.name)}"')
    return "\n".join(lines) + "\n"


def _ends(link: Link) -> str:
    if link.is_many:
        return "}o--o{"
    left = "|o" if link.is_unique else "}o"
    return f"{left}--{'o|' if link.is_null else '||'}"


def _word(text: str) -> str:
    """The text without what Mermaid's grammar does not allow in a name."""
    return re.sub(r"[^\w]+", "_", text).strip("_") or "_"


def dot(entities: Sequence[Entity]) -> str:
    """A graph of Graphviz, with a table for each entity."""
    lines = ["digraph models {", "    rankdir=LR;", '    node [shape=plain, fontname="Helvetica", fontsize=10];']
    for entity in entities:
        rows = [f'<tr><td bgcolor="#dde7f0" colspan="2"><b>{escape(entity.name)}</b></td></tr>']
        for each in entity.attributes:
            name = f"<u>{escape(each.name)}</u>" if each.is_key else escape(each.name)
            rows.append(f'<tr><td align="left">{name}</td><td align="left">{escape(each.kind)}</td></tr>')
        table = f'<table border="0" cellborder="1" cellspacing="0">{"".join(rows)}</table>'
        lines.append(f"    {_quoted(entity.name)} [label=<{table}>];")
    names = {entity.name for entity in entities}
    for entity in entities:
        for link in entity.links:
            if link.target in names:
                style = "dashed" if link.is_null else "solid"
                ends = ' dir=both arrowtail="crow" arrowhead="crow"' if link.is_many else ' arrowhead="normal"'
                lines.append(
                    f"    {_quoted(link.source)} -> {_quoted(link.target)} "
                    f"[label={_quoted(link.name)}, style={style},{ends}];"
                )
    return "\n".join([*lines, "}"]) + "\n"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
