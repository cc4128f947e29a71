"""The two example applications, asked for what nobody would ask. None of the answers is a 500."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import ignored_auth, negative_data_rejection, positive_data_acceptance

from tests.contrib.test_schemathesis import Crud, running

EXAMPLES = Path(__file__).parents[2] / "examples"
#: Users and posts may not be there, texts are trimmed, and the token is sent in half of the requests.
EXCLUDED: list[Any] = [positive_data_acceptance, negative_data_rejection, ignored_auth]
TEXTS = st.text(max_size=120) | st.sampled_from(
    [
        "",
        " ",
        "a\0b",
        "x" * 101,
        "x" * 100_000,
        "'; DROP TABLE pages; --",
        "<script>",
        "%s",
        "../..",
        "9" * 5_000,
        "-1",
        "1",
    ]
)


def application(name: str, patch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """The app of an example, and its models."""
    patch.syspath_prepend(EXAMPLES / name)
    return importlib.import_module(f"{name}.app").app, importlib.import_module(f"{name}.models").models


@pytest.fixture
def feed(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Crud]:
    yield from running(*application("feed", monkeypatch), database_url)


@pytest.fixture
def wiki(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Crud]:
    yield from running(*application("wiki", monkeypatch), database_url)


def test_the_feed_answers_as_its_openapi_says(feed: Crud) -> None:
    token = {"Authorization": "Bearer " + feed.request("POST", "/users", json={"name": "ann"}).json()["token"]}
    feed.request("POST", "/users", json={"name": "bob"})
    for result in schemathesis.openapi.from_dict(feed.app.openapi()).get_all_operations():
        operation = result.ok()
        requests = st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in GenerationMode))

        @settings(max_examples=8, suppress_health_check=list(HealthCheck))
        @given(case=requests, signed_in=st.booleans(), exists=st.booleans())
        def check(case: Any, signed_in: bool, exists: bool) -> None:
            if exists and case.path_parameters:
                post = feed.request("POST", "/posts", json={"text": "hi"}, headers=token).json()["id"]
                case.path_parameters |= {name: post if name == "id" else "bob" for name in case.path_parameters}
            case.headers = {**(case.headers or {}), **(token if signed_in else {})}
            case.validate_response(feed.answer(case), excluded_checks=EXCLUDED)

        check()


def test_the_wiki_answers_every_form(wiki: Crud) -> None:
    assert wiki.request("POST", "/new", data={"title": "Home", "text": "hi"}).status_code == 303
    paths = st.sampled_from(["/", "/new", "/pages/Home", "/pages/Home/edit", "/pages/Home/history"])
    titles = TEXTS.filter(lambda title: len(title) < 1_000).map(lambda title: f"/pages/{quote(title, safe='')}")

    @settings(max_examples=60, suppress_health_check=list(HealthCheck))
    @given(
        method=st.sampled_from(["GET", "POST"]),
        path=paths | titles | titles.map(lambda path: f"{path}/edit"),
        q=TEXTS.map(lambda text: text[:1_000]),
        form=st.fixed_dictionaries({}, optional={"title": TEXTS, "text": TEXTS, "version": TEXTS}),
        as_files=st.booleans(),
    )
    def check(method: str, path: str, q: str, form: dict[str, str], as_files: bool) -> None:
        files = {name: ("a.txt", text.encode(errors="replace")) for name, text in form.items()}
        options: dict[str, Any] = {"files": files} if as_files else {"data": form}
        answer = wiki.request(method, path, params={"q": q}, **(options if method == "POST" else {}))
        assert answer.status_code < 500, (method, path, form)

    check()
    for version in ("9" * 5_000, "9" * 12, "-1", "1e3", ""):
        answer = wiki.request("POST", "/pages/Home/edit", data={"text": "new", "version": version})
        assert answer.status_code in (409, 422)
