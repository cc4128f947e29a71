"""Diagrams as SVG: boxes in columns, each to the right of those that reference it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from orm.diagrams.entities import Entity, Link

CHARACTER, LINE, PADDING = 7.2, 18, 10
COLUMN_GAP, ROW_GAP, MARGIN = 90, 28, 24
MAX_HEIGHT = 1400
"""A column that is higher goes on in the next one."""

STYLE = """
  text { font: 12px ui-monospace, Menlo, Consolas, monospace; fill: #1c2733; }
  .box { fill: #ffffff; stroke: #7b8a99; } .head { fill: #dde7f0; stroke: #7b8a99; }
  .name { font-weight: bold; } .kind { fill: #5b6b7a; } .key { text-decoration: underline; }
  .link { fill: none; stroke: #47617a; stroke-width: 1.2; } .null { stroke-dasharray: 4 3; }
  .label { font-size: 10px; fill: #47617a; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e3e9ef; } .box { fill: #17202a; } .head { fill: #2b3a49; } .kind, .label { fill: #a9b8c6; }
    .link { stroke: #9db6cd; }
  }
""".strip("\n")


@dataclass
class Box:
    """The rectangle of an entity."""

    entity: Entity
    x: float = 0
    y: float = 0

    @property
    def width(self) -> float:
        """The width, for the longest line."""
        lengths = [len(each.name) + len(each.kind) + 3 for each in self.entity.attributes]
        return CHARACTER * max([len(self.entity.name) + 2, *lengths]) + 2 * PADDING

    @property
    def height(self) -> float:
        """The height: a line for the name, and one for each attribute."""
        return LINE * (1 + len(self.entity.attributes)) + PADDING


def svg(entities: Sequence[Entity]) -> str:
    """A picture for browsers, light or dark as the reader's."""
    boxes = {entity.name: Box(entity) for entity in entities}
    links = [link for entity in entities for link in entity.links if link.target in boxes]
    width, height = _place(boxes, links)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img" aria-label="Models and their relations">',
        f"<style>\n{STYLE}\n</style>",
        '<defs><marker id="end" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
        'orient="auto-start-reverse"><path d="M0 0 L10 5 L0 10 z" fill="#47617a"/></marker></defs>',
    ]
    parts += [_drawn_link(link, boxes) for link in links]
    parts += [_drawn_box(box) for box in boxes.values()]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _place(boxes: dict[str, Box], links: Sequence[Link]) -> tuple[float, float]:
    """Set the places of all boxes; returns the size of the picture."""
    columns: list[list[Box]] = []
    ranks = _ranks(boxes, links)
    for rank in sorted(set(ranks.values())):
        column: list[Box] = []
        used = 0.0
        for name in (name for name in boxes if ranks[name] == rank):
            if column and used + boxes[name].height > MAX_HEIGHT:
                columns.append(column)
                column, used = [], 0.0
            column.append(boxes[name])
            used += boxes[name].height + ROW_GAP
        columns.append(column)
    x, height = float(MARGIN), 0.0
    for column in columns:
        y = float(MARGIN)
        for box in column:
            box.x, box.y = x, y
            y += box.height + ROW_GAP
        height = max(height, y)
        x += max(box.width for box in column) + COLUMN_GAP
    return max(x - COLUMN_GAP + MARGIN, 2 * MARGIN), height + MARGIN - ROW_GAP if boxes else 2 * MARGIN


def _ranks(boxes: dict[str, Box], links: Sequence[Link]) -> dict[str, int]:
    """The column of each entity: further to the right than those that reference it, as far as there is no cycle."""
    ranks = dict.fromkeys(boxes, 0)
    for _ in range(len(boxes)):
        changed = False
        for link in links:
            wanted = ranks[link.source] + 1
            if link.source != link.target and ranks[link.target] < wanted <= len(boxes) // 2:
                ranks[link.target] = wanted
                changed = True
        if not changed:
            break
    numbers = {rank: number for number, rank in enumerate(sorted(set(ranks.values())))}
    return {name: numbers[rank] for name, rank in ranks.items()}


def _drawn_box(box: Box) -> str:
    x, y, width = box.x, box.y, box.width
    lines = [
        f'<rect class="box" x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{box.height:.0f}" rx="4"/>',
        f'<rect class="head" x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{LINE + 4}" rx="4"/>',
        f'<text class="name" x="{x + PADDING:.0f}" y="{y + LINE - 3:.0f}">{escape(box.entity.name)}</text>',
    ]
    for number, each in enumerate(box.entity.attributes, start=1):
        at = y + LINE * (number + 1)
        kind = f"{each.kind}{'?' if each.is_null else ''}"
        css = ' class="key"' if each.is_key else ""
        lines.append(f'<text{css} x="{x + PADDING:.0f}" y="{at:.0f}">{escape(each.name)}</text>')
        lines.append(
            f'<text class="kind" x="{x + width - PADDING:.0f}" y="{at:.0f}" text-anchor="end">{escape(kind)}</text>'
        )
    return "\n".join(lines)


def _drawn_link(link: Link, boxes: dict[str, Box]) -> str:
    source, target = boxes[link.source], boxes[link.target]
    names = [each.name for each in source.entity.attributes]
    row = names.index(link.name) + 1 if link.name in names else 0
    y1 = source.y + LINE * (row + 0.75)
    y2 = target.y + LINE * 0.7
    leaves_right = source.x + source.width <= target.x
    x1 = source.x + source.width if leaves_right or source is target else source.x
    x2 = target.x if leaves_right else target.x + target.width
    bend = max(abs(x2 - x1) / 2, COLUMN_GAP / 2)
    c1 = x1 + bend if leaves_right or source is target else x1 - bend
    c2 = x2 - bend if leaves_right else x2 + bend
    css = "link null" if link.is_null else "link"
    tail = ' marker-start="url(#end)"' if link.is_many else ""
    path = f"M{x1:.0f} {y1:.0f} C{c1:.0f} {y1:.0f} {c2:.0f} {y2:.0f} {x2:.0f} {y2:.0f}"
    drawn = f'<path class="{css}" d="{path}" marker-end="url(#end)"{tail}><title>{escape(link.name)}</title></path>'
    if not link.is_many:
        return drawn
    label = f'<text class="label" x="{(x1 + c1) / 2:.0f}" y="{y1 - 4:.0f}">{escape(link.name)}</text>'
    return f"{drawn}\n{label}"
