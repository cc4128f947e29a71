"""Diagrams of models and of tables: what they contain, and that boxes do not overlap."""

from __future__ import annotations

import itertools
from xml.etree import ElementTree

import orm
from orm.diagrams import Entity, dot, entities_of_models, entities_of_tables, mermaid, svg
from orm.diagrams.entities import Attribute, Link
from orm.migrations.inspection.models import tables_of
from tests.sample_models import team_shop

SVG = "{http://www.w3.org/2000/svg}"


def library() -> orm.ModelRegistry:
    models = orm.ModelRegistry()

    class Author(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        name = orm.String(max_length=50)

    class Tag(orm.Model):
        registry = models

        word = orm.String(max_length=50, primary_key=True)

    class Book(orm.Model):
        registry = models

        id = orm.Integer(primary_key=True)
        author = orm.ForeignKey(Author)
        editor = orm.ForeignKey(Author, allow_null=True, related_name="edited")
        cover = orm.OneToOne("Book", allow_null=True)
        tags = orm.ManyToMany(Tag)

    return models


def test_mermaid_has_the_fields_and_the_relations() -> None:
    assert mermaid(entities_of_models([library()])) == (
        "erDiagram\n"
        "    Author {\n        Integer id PK\n        String name\n    }\n"
        "    Tag {\n        String word PK\n    }\n"
        "    Book {\n        Integer id PK\n        Author author\n        Author editor\n        Book cover\n    }\n"
        '    Book }o--|| Author : "author"\n'
        '    Book }o--o| Author : "editor"\n'
        '    Book |o--o| Book : "cover"\n'
        '    Book }o--o{ Tag : "tags"\n'
    )


def test_svg_is_xml_whose_boxes_do_not_overlap() -> None:
    entities = entities_of_models([team_shop.models])
    assert len(entities) > 40
    root = ElementTree.fromstring(svg(entities))
    boxes = [
        tuple(float(rect.attrib[name]) for name in ("x", "y", "width", "height"))
        for rect in root.iter(f"{SVG}rect")
        if rect.attrib["class"] == "box"
    ]
    assert len(boxes) == len(entities)
    for (x1, y1, w1, h1), (x2, y2, w2, h2) in itertools.combinations(boxes, 2):
        assert x1 + w1 <= x2 or x2 + w2 <= x1 or y1 + h1 <= y2 or y2 + h2 <= y1
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    assert all(x + w <= width and y + h <= height for x, y, w, h in boxes)
    links = sum(len(entity.links) for entity in entities)
    assert len([path for path in root.iter(f"{SVG}path") if "link" in path.attrib.get("class", "")]) == links


def test_names_with_markup_are_escaped() -> None:
    odd = Entity('<b>"&', [Attribute("</text>", "x & y", True)], [Link("</text>", '<b>"&', '<b>"&')])
    ElementTree.fromstring(svg([odd]))
    assert '"<b>\\"&" [label=' in dot([odd]) and "&lt;/text&gt;" in dot([odd])
    assert mermaid([odd]).splitlines()[1] == "    b {"


def test_a_cycle_and_no_entities_are_drawn() -> None:
    one = Entity("One", [Attribute("two", "Two")], [Link("two", "One", "Two")])
    two = Entity("Two", [Attribute("one", "One")], [Link("one", "Two", "One")])
    assert len(list(ElementTree.fromstring(svg([one, two])).iter(f"{SVG}rect"))) == 4
    assert ElementTree.fromstring(svg([])).attrib["width"]
    assert mermaid([]) == "erDiagram\n"


async def test_tables_of_a_database_are_drawn_as_their_models(database: orm.Database) -> None:
    models = library()
    models.database = database
    await models.create_all()
    entities = {entity.name: entity for entity in entities_of_tables(await tables_of(database))}
    assert set(entities) == {"author", "tag", "book", "book_tags"}
    links = {(link.name, link.target, link.is_null, link.is_unique) for link in entities["book"].links}
    assert links == {
        ("author", "author", False, False),
        ("editor", "author", True, False),
        ("cover", "book", True, True),
    }
