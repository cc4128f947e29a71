"""Generated code: how it becomes functions, and how to see it."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import pytest

from orm.utils.codegen import Inline, function_of, generate, over_list, written


def test_generated_code_can_be_seen(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "orm.code"):
        assert generate("thing", "def made():\n    return 7", {})["made"]() == 7
    assert "# thing\ndef made():" in caplog.text


@pytest.mark.parametrize("switch", ["", "1"])
def test_the_environment_switches_it_on(switch: str) -> None:
    code = "from orm.rows.readers import read_values; read_values([None])"
    environment = {**os.environ, "ORM_SHOW_CODE": switch}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert ("def read(rows):" in ran.stderr) is bool(switch)


def test_a_traceback_names_generated_code() -> None:
    made = generate("thing", "def made():\n    raise ValueError", {})["made"]
    with pytest.raises(ValueError) as caught:
        made()
    assert caught.traceback[-1].frame.code.raw.co_filename == "<generated thing>"


def test_an_inline_conversion_is_a_function_too() -> None:
    inline = Inline("None if {v} is None else {convert}({v})", convert=int)
    assert inline("7") == function_of(inline)("7") == 7
    assert inline(None) is None
    assert over_list(inline)(["1", None]) == [1, None]
    assert over_list(None)((1, 2)) == [1, 2]
    assert over_list(str)([1]) == ["1"]


def test_written_conversions_keep_their_names_apart() -> None:
    scope: dict[str, object] = {}
    sources = [written(Inline("{f}({v})", f=f), f"v{i}", i, scope) for i, f in enumerate((int, str))]
    assert sources == ["f_0(v0)", "f_1(v1)"]
    assert scope == {"f_0": int, "f_1": str}
    assert written(None, "v2", 2, scope) == "v2"
    assert written(float, "v3", 3, scope) == "process_3(v3)"
