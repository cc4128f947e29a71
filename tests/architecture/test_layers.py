"""The layers: the contracts of pyproject.toml hold, and each fails where something breaks it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on the package in the folder."""
    code = "from importlinter.cli import lint_imports; import sys; sys.exit(lint_imports(no_cache=True))"
    return subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)


def check(name: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run one of our own checks on the package in the folder."""
    return subprocess.run([sys.executable, "-m", f"tools.{name}"], cwd=folder, capture_output=True, text=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the checks read."""
    for package in ("orm", "tools"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def add(path: Path, code: str) -> None:
    path.write_text(path.read_text() + code)


def test_layers_of_the_package_as_it_is_hold(checkout: Path) -> None:
    run = lint_imports(checkout)
    assert run.returncode == 0, run.stdout
    assert "0 broken" in run.stdout


@pytest.mark.parametrize(
    "module, imported, contract",
    [
        ("orm/query/ordering.py", "orm.queryset.queryset", "Layers of orm"),
        ("orm/writing/bulk_create.py", "orm.loading.load", "Layers of orm"),
        ("orm/fields/base.py", "orm.lookups.base", "Layers of orm"),
        ("orm/query/terms/base.py", "orm.query.query", "Layers of orm.query"),
        ("orm/database/storage.py", "orm.database.sqlite.driver", "Layers of orm.database"),
    ],
)
def test_layers_import_that_goes_up_breaks_its_contract(
    checkout: Path, module: str, imported: str, contract: str
) -> None:
    add(checkout / module, f"\nimport {imported}\n")
    run = lint_imports(checkout)
    assert run.returncode == 1
    assert f"{contract} BROKEN" in run.stdout


@pytest.mark.parametrize("path", ["orm/stray.py", "orm/query/stray.py", "orm/database/stray.py"])
def test_layers_file_without_a_layer_is_refused(checkout: Path, path: str) -> None:
    (checkout / path).write_text('"""A module that no layer has."""\n')
    run = lint_imports(checkout)
    assert run.returncode == 1
    assert "stray" in run.stdout


def test_type_only_imports_of_the_package_as_it_is_are_allowed(checkout: Path) -> None:
    run = check("type_only_imports", checkout)
    assert run.returncode == 0, run.stdout


def test_type_only_import_of_a_model_or_queryset_may_go_up(checkout: Path) -> None:
    add(
        checkout / "orm/expressions/base.py",
        "\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import orm.models, orm.queryset.managers\n",
    )
    run = check("type_only_imports", checkout)
    assert "orm.expressions.base -> orm.models" not in run.stdout
    assert "orm.expressions.base -> orm.queryset.managers" not in run.stdout


def test_type_only_import_of_another_module_may_not_go_up(checkout: Path) -> None:
    add(
        checkout / "orm/expressions/base.py",
        "\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import orm.loading.load\n",
    )
    run = check("type_only_imports", checkout)
    assert run.returncode == 1
    assert "orm.expressions.base -> orm.loading.load goes up in orm" in run.stdout
    assert lint_imports(checkout).returncode == 0  # import-linter alone does not see it


def test_vocabulary_of_the_package_as_it_is_has_no_retired_word(checkout: Path) -> None:
    run = check("vocabulary", checkout)
    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize(
    "code",
    [
        "\nfound = 1\n",
        "\ndef settle() -> None:\n    ...\n",
        "\ndef read(given: int) -> None:\n    ...\n",
        "\nclass Spread:\n    ...\n",
        "\nclass Section:\n    def __init__(self) -> None:\n        self.far = 1\n",
    ],
)
def test_vocabulary_retired_name_is_refused(checkout: Path, code: str) -> None:
    add(checkout / "orm/utils/codegen.py", code)
    run = check("vocabulary", checkout)
    assert run.returncode == 1
    assert "codegen.py" in run.stdout


def test_vocabulary_retired_module_is_refused(checkout: Path) -> None:
    (checkout / "orm" / "utils" / "garbage.py").write_text('"""A module by its old name."""\n')
    run = check("vocabulary", checkout)
    assert run.returncode == 1
    assert "the module garbage is called gc_control now" in run.stdout
