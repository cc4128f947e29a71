"""The sdist and the wheel: what they hold, and that an installed wheel works in an environment without the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pytest

import orm
from tests.docs.test_docs import ROOT

FOLDERS = ("benchmarks", "docs", "examples", "orm", "tests", "tools")
#: What tests and applications leave behind.
LEFT_BEHIND = shutil.ignore_patterns("__pycache__", "*.pyc", ".*_cache", "*.db", "*.sqlite", "build", "site")
BUILD = "import sys; from setuptools import build_meta; print(getattr(build_meta, sys.argv[1])(sys.argv[2]))"
USE = """
import importlib.metadata, pathlib, orm

database = orm.Database("sqlite://")
models = orm.ModelRegistry(database=database)

class Note(orm.Model):
    registry = models
    text = orm.String(max_length=100)

async def main():
    async with database:
        await models.create_all()
        await Note.objects.create(text="It works.")
        assert await Note.objects.count() == 1

orm.run(main())
folder = pathlib.Path(orm.__file__).parent
assert (folder / "py.typed").is_file()
print(importlib.metadata.version("orm"), folder)
"""


class Built(NamedTuple):
    """What was built of a copy of the checkout."""

    sdist: Path
    wheel: Path
    unpacked: Path
    """The folder of what is in the sdist."""


def build(kind: str, source: Path, target: Path) -> Path:
    done = subprocess.run(
        [sys.executable, "-c", BUILD, f"build_{kind}", str(target)],
        cwd=source,
        env={**os.environ, "PYTHONPATH": "", "PYTHONWARNINGS": "", "PYTHONDEVMODE": ""},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return target / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The sdist of a copy of the checkout, and the wheel of that sdist, as pip makes it."""
    folder = tmp_path_factory.mktemp("distribution")
    copy = folder / "copy"
    for name in FOLDERS:
        shutil.copytree(ROOT / name, copy / name, ignore=LEFT_BEHIND)
    for path in ROOT.iterdir():
        if path.is_file() and not path.name.startswith("."):
            shutil.copy(path, copy)
    sdist = build("sdist", copy, folder)
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "unpacked", **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    (unpacked,) = (folder / "unpacked").iterdir()
    return Built(sdist, build("wheel", unpacked, folder), unpacked)


def test_sdist_has_what_its_tests_and_its_documentation_need(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        held = {PurePosixPath(*PurePosixPath(name).parts[1:]).as_posix() for name in archive.getnames()}
    needed = {
        path.relative_to(ROOT).as_posix()
        for name in FOLDERS
        for path in (ROOT / name).rglob("*")
        if path.is_file() and path.suffix in (".py", ".md", ".json", ".mako", ".ini", ".toml", ".typed", ".css", ".svg")
        if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
        if not {"build", "site"} & {*path.relative_to(ROOT).parts}
    }
    needed |= {"Makefile", "setup.cfg", "pyproject.toml", "mkdocs.yml", "alembic.ini", "README.md", "LICENSE.md"}
    assert len(needed) > 900 and not needed - held
    assert not [name for name in held if "__pycache__" in name or name.endswith((".pyc", ".db", ".sqlite"))]


def test_wheel_has_the_package_and_nothing_else(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        held = archive.namelist()
        metadata = archive.read(f"orm-{orm.__version__}.dist-info/METADATA").decode()
    assert {name.partition("/")[0] for name in held} == {"orm", f"orm-{orm.__version__}.dist-info"}
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "orm").rglob("*.py")}
    assert {name for name in held if name.startswith("orm/")} == modules | {"orm/py.typed"}
    assert f"orm-{orm.__version__}.dist-info/entry_points.txt" in held
    for line in ("Requires-Python: >=3.10", "Provides-Extra: litestar", "Provides-Extra: sqlite"):
        assert line in metadata


def test_editable_install_names_the_folder_as_type_checkers_need_it(built: Built, tmp_path: Path) -> None:
    with zipfile.ZipFile(build("editable", built.unpacked, tmp_path)) as archive:
        (paths,) = [archive.read(name).decode() for name in archive.namelist() if name.endswith(".pth")]
    assert paths.strip() == str(built.unpacked)  # a line of code, an import hook, is not read by pyright and ty


def test_installed_wheel_runs_a_query_and_has_its_types_and_command(built: Built, tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=False)
    python = tmp_path / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"),
            *("--no-compile", "--disable-pip-version-check", str(built.wheel)),
        ],
        check=True,
        env={**os.environ, "PYTHONWARNINGS": "", "PYTHONDEVMODE": ""},
    )
    # What orm requires is read from the tests' environment, whose own .pth files, which name the checkout, are not.
    (packages,) = (tmp_path / "env").rglob("site-packages")
    (packages / "requirements.pth").write_text(sysconfig.get_path("purelib") + "\n")
    done = subprocess.run([python, "-c", USE], cwd=tmp_path, env=clean_environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [orm.__version__, str(packages / "orm")]
    command = subprocess.run(
        [python.with_name("orm"), "--help"], cwd=tmp_path, env=clean_environment(), capture_output=True, text=True
    )
    assert command.returncode == 0 and "migrate" in command.stdout


def clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
