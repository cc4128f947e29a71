"""Joins revisions: branches by a merge, a row of them by a squash."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

from alembic.script import Script
from alembic.util import rev_id

from orm.exceptions import MigrationError
from orm.migrations import states
from orm.migrations.folder import Folder

NAMES = {"revision", "down_revision", "branch_labels", "depends_on", "replaces"}


def merge(folder: Folder, message: str | None = None) -> Path:
    """Write a revision without operations that follows all heads, so that there is one again. Returns its file.

    Raises:
        MigrationError: there are not several heads.
    """
    heads = folder.heads()
    if len(heads) < 2:
        raise MigrationError("there is nothing to merge: no two revisions follow the same one")
    text = message or f"merge {' and '.join(heads)}"
    script = folder.script.generate_revision(rev_id(), text, head=tuple(heads), refresh=True)
    assert script is not None
    folder.reload()
    return Path(str(script.path))


def squash(folder: Folder, message: str = "squashed") -> tuple[Path, list[Path]]:
    """Write one revision in the place of all: their operations one after another, SQL and Python of your own included.

    It has the identifier of the last one, so a database that has run all of them needs nothing, and later revisions
    follow it as before. Its `replaces` names the others. Returns its file, and the files that it replaces.

    Raises:
        MigrationError: there are several heads, there is one revision only, or a file has code of its own outside of
            `upgrade()` and `downgrade()`.
    """
    scripts = folder.revisions()
    if len(folder.heads()) > 1 or any(len(script._all_down_revisions) > 1 for script in scripts):
        raise MigrationError("only revisions without branches can be squashed")
    if len(scripts) < 2:
        raise MigrationError("there is nothing to squash: there is one revision only")
    imports: dict[str, None] = {}
    bodies = []
    for script in scripts:
        tree = ast.parse(Path(str(script.path)).read_text(encoding="utf-8"))
        imports.update(dict.fromkeys(_imports(tree, script)))
        bodies.append((script, _body(tree, "upgrade"), _body(tree, "downgrade")))
    replaced: list[str] = []
    for script in scripts:
        replaced += [
            name for name in (*getattr(script.module, "replaces", ()), script.revision) if name not in replaced
        ]
    last = scripts[-1]
    replaced.remove(last.revision)
    new = Path(str(last.path)).with_name(f"{last.revision}_{message.replace(' ', '_')}.py")
    old = [Path(str(script.path)) for script in scripts]
    text = _source(message, last.revision, replaced, [*imports], bodies)
    for script in scripts:  # a squashed revision may ask for the models of those that it replaces
        state = states.state_at(folder.script, script.revision)
        if state is not None:
            states.write(states.path_of(script), state)
    for path in old:
        path.rename(path.with_suffix(".py.squashed"))
    new.write_text(text, encoding="utf-8")
    folder.reload()
    return new, old


def _imports(tree: ast.Module, script: Script) -> list[str]:
    """The imports of a file. Raises `MigrationError` for what cannot be moved."""
    lines = []
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        is_function = isinstance(node, ast.FunctionDef) and node.name in ("upgrade", "downgrade")
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            lines.append(ast.unparse(node))
        elif not (is_function or is_text or all(isinstance(each, ast.Name) and each.id in NAMES for each in targets)):
            raise MigrationError(
                f"{script.path}, line {node.lineno}: code outside of upgrade() and downgrade() cannot be squashed: "
                "move it into them"
            )
    return lines


def _body(tree: ast.Module, function: str) -> str:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == function:
            return "\n".join(ast.unparse(ast.Module([statement], [])) for statement in node.body)
    return "pass"


def _source(message: str, revision: str, replaced: list[str], imports: list[str], bodies: list[Any]) -> str:
    parts = [
        f'"""{message}\n\nRevision: {revision}\nReplaces: {", ".join(replaced)}\n"""\n',
        "\n".join(imports),
        f"\nrevision = {revision!r}\ndown_revision = None\nbranch_labels = None\ndepends_on = None\n"
        f"replaces = {replaced!r}\n",
    ]
    for index, (script, up, down) in enumerate(bodies, 1):
        title = f"{script.revision}: {script.doc}".replace('"', "'").replace("\\", "/")
        for name, body in (("upgrade", up), ("downgrade", down)):
            lines = "\n".join(f"    {line}" if line else "" for line in body.splitlines())
            parts.append(f'\ndef {name}_{index}() -> None:\n    """{title}"""\n{lines}\n')
    for name, numbers in (("upgrade", range(1, len(bodies) + 1)), ("downgrade", range(len(bodies), 0, -1))):
        calls = "\n".join(f"    {name}_{number}()" for number in numbers)
        parts.append(f"\ndef {name}() -> None:\n{calls}\n")
    return "\n".join(parts)
