"""The service over HTTP, on an SQLite file, or on the database of `TEST_DATABASE_URL`."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote, urlencode

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wiki.app import app
from wiki.models import Page, Revision, models

import orm
from orm import migrations

pytestmark = pytest.mark.anyio

# What a form or a path may have: any text, bytes that are no text, what HTML and SQL take for their own.
VALUES = st.one_of(
    st.text(),
    st.binary(),
    st.sampled_from(
        ["", " ", "\0", "Tea", "1", "9" * 40, "-1", "'; --", "<b>", "%00", "../..", "é" * 101, "x" * 70_000]
    ),
)
FIELDS = st.dictionaries(
    st.sampled_from(["title", "text", "version"]) | st.text(max_size=5), st.lists(VALUES, max_size=2)
)
MIGRATIONS = Path(__file__).parents[1] / "migrations"


@pytest.fixture(scope="session")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="session")
def url(tmp_path_factory):
    return os.environ.get("TEST_DATABASE_URL") or f"sqlite:///{tmp_path_factory.mktemp('wiki')}/test.db"


@pytest.fixture(autouse=True)
async def database(url):
    """The migrated database, empty."""
    models.database = orm.Database(url)
    async with models.database:
        await migrations.upgrade(models, directory=MIGRATIONS)
        await Page.objects.all().delete()
        yield models.database


@pytest.fixture
async def client():
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://wiki", follow_redirects=True) as client:
        yield client


async def test_the_models_have_their_migrations():
    assert await migrations.check(models, directory=MIGRATIONS) == []


async def test_a_page_is_written_edited_and_read(client):
    answer = await client.post("/new", data={"title": "Tea & cake", "text": "<b>Hot</b>"})
    assert (answer.status_code, answer.url.path) == (200, "/pages/Tea & cake")
    assert "<h1>Tea &amp; cake</h1>" in answer.text and "<pre>&lt;b&gt;Hot&lt;/b&gt;</pre>" in answer.text

    form = await client.get("/pages/Tea & cake/edit")
    assert 'name="version" value="1"' in form.text and "&lt;b&gt;Hot&lt;/b&gt;" in form.text
    answer = await client.post("/pages/Tea & cake/edit", data={"text": "Cold", "version": "1"})
    assert answer.status_code == 200 and "<pre>Cold</pre>" in answer.text

    answer = await client.get("/pages/Tea & cake/history")
    assert answer.text.index("<pre>Cold</pre>") < answer.text.index("<pre>&lt;b&gt;Hot")
    assert "Tea &amp; cake" in (await client.get("/", params={"q": "COLD"})).text
    assert "No pages." in (await client.get("/", params={"q": "coffee"})).text


async def test_an_edit_of_an_older_version_overwrites_nothing(client):
    await client.post("/new", data={"title": "Tea", "text": "Hot"})
    await client.post("/pages/Tea/edit", data={"text": "Hers", "version": "1"})

    answer = await client.post("/pages/Tea/edit", data={"text": "His", "version": "1"})
    assert answer.status_code == 409
    assert "<pre>Hers</pre>" in answer.text and "His" in answer.text and 'name="version" value="2"' in answer.text
    assert (await Page.objects.get(title="Tea")).text == "Hers"
    assert await Revision.objects.values_list("number", flat=True) == [2, 1]

    answer = await client.post("/pages/Tea/edit", data={"text": "Hers and his", "version": "2"})
    assert answer.status_code == 200
    assert (await Page.objects.get(title="Tea")).version == 3


async def test_a_page_is_not_written_without_its_revision(client):
    await client.post("/new", data={"title": "Tea", "text": "Hot"})
    page = await Page.objects.get(title="Tea")
    await Revision.objects.create(page=page, number=2, text="in the way")
    assert (await client.post("/pages/Tea/edit", data={"text": "Cold", "version": "1"})).status_code == 409
    await page.load()
    assert (page.text, page.version) == ("Hot", 1)


async def test_what_is_invalid_comes_back_with_its_error(client):
    answer = await client.post("/new", data={"title": "", "text": "what was typed"})
    assert answer.status_code == 422
    assert "Must not be blank." in answer.text and "what was typed" in answer.text
    assert (await client.post("/new", data={"title": "a/b", "text": "x"})).status_code == 422

    await client.post("/new", data={"title": "Tea", "text": "Hot"})
    answer = await client.post("/new", data={"title": "Tea", "text": "Cold"})
    assert answer.status_code == 409 and "There is a page of this title already." in answer.text
    for data in ({"text": "", "version": "1"}, {"text": "Cold", "version": "x"}, {"text": "Cold"}):
        assert (await client.post("/pages/Tea/edit", data=data)).status_code == 422
    assert await Revision.objects.count() == 1


async def test_a_page_that_is_not_there_is_404(client):
    for path in ("/pages/Tea", "/pages/Tea/edit", "/pages/Tea/history"):
        assert (await client.get(path)).status_code == 404


async def test_no_request_is_a_500(client):
    await client.post("/new", data={"title": "Tea", "text": "Hot"})
    for value in ("\0", "\ud800".encode("utf-8", "surrogatepass"), "9" * 40, "%", "..", "x" * 1000):
        answers = [
            await client.get("/", params={"q": value}),
            await client.get(f"/pages/{quote(value)}"),
            await client.post("/new", data={"title": value, "text": value}),
            await client.post("/pages/Tea/edit", data={"text": value, "version": value}),
        ]
        assert [answer.status_code for answer in answers if answer.status_code >= 500] == [], value


@settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(fields=FIELDS, value=VALUES, of_files=st.booleans())
async def test_no_form_is_a_500(client, fields, value, of_files):
    await client.post("/new", data={"title": "Tea", "text": "Hot"})
    if of_files:  # a file in the place of a text
        content = {"files": [(name, ("a.txt", as_bytes(each))) for name in fields for each in fields[name]]}
    else:
        pairs = [(as_bytes(name), as_bytes(each)) for name in fields for each in fields[name]]
        content = {"content": urlencode(pairs), "headers": {"Content-Type": "application/x-www-form-urlencoded"}}
    path = f"/pages/{quote(as_bytes(value)[:1000], safe='')}"
    answers = [
        await client.get(f"/?{urlencode([('q', as_bytes(value)[:1000])])}"),
        await client.get(path),
        await client.get(f"{path}/history"),
        await client.post("/new", **content),
        await client.post("/pages/Tea/edit", **content),
        await client.post(f"{path}/edit", **content),
    ]
    assert [answer.url for answer in answers if answer.status_code >= 500] == []


def as_bytes(value):
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")
