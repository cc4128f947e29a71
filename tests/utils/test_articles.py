"""The articles of class names in messages."""

from __future__ import annotations

import pytest

from orm.utils.articles import with_article


@pytest.mark.parametrize(
    "name",
    [
        *("a Note", "an Album", "an int", "a str", "an Integer", "an Address", "an Event", "an Order", "a OneToOne"),
        *("a User", "a Unit", "a Utility", "a UUID", "a URL", "an Upload", "an Update", "an Underline", "a U"),
        *("an HStore", "an XMLFile", "a JSON", "a CIText", "a Euro", "a Hat", "a Label"),
    ],
)
def test_article_is_the_spoken_one(name: str) -> None:
    assert with_article(name.split()[1]) == name
