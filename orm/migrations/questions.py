"""Answers to what autogenerate cannot know: given beforehand, as those of options, or asked of a person."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy
from alembic.operations import ops

from orm.exceptions import MigrationError, UnansweredQuestion
from orm.fields.base import Field
from orm.migrations.answers import UNANSWERED, Answers
from orm.registry import ModelRegistry

SQL = "sql:"
"""What an answer begins with that is an expression of the database, not a value."""


class OptionError(MigrationError):
    """An option of `makemigrations` that cannot be read, or names nothing. The command exits with 2."""


class Questions(Answers):
    """Answers by options such as ``Track.position=index``; what they do not answer is asked, or stops the command.

    A table is named by its model, or by its own name; a column by its field, or by its own name.

    Args:
        renames: ``Track.position=index`` for a column, ``Track=Song`` for a table, ``Track.mood.sad=blue`` for the
            stored value of an enum's member.
        drops: ``Track.position`` for a column that is dropped and not renamed, ``Track`` for a table.
        one_offs: ``Track.rating=5``: the value of existing rows in a required column; ``Track.added=sql:now()``
            is an expression.
        ask: asks a person, and returns the text of the answer. None if there is nobody to ask.

    Raises:
        OptionError: an option cannot be read.
    """

    def __init__(
        self,
        registries: Sequence[ModelRegistry],
        renames: Iterable[str] = (),
        drops: Iterable[str] = (),
        one_offs: Iterable[str] = (),
        ask: Callable[[str], str] | None = None,
    ) -> None:
        self.registries = registries
        self.renames = dict(_read("--rename", text) for text in renames)
        self.drops = set(drops)
        self.one_offs = dict(_read("--one-off", text) for text in one_offs)
        self.ask = ask
        #: The answers that `env.py` has, which come after the options.
        self.application: Answers | None = None
        self.used: set[str] = set()
        self._asked: dict[str, str] = {}

    def renamed_table(self, old: str, new: sqlalchemy.Table) -> bool:
        """Whether a table that no model has any more was renamed."""
        names = {new.name, self._model_name(new)}
        decided = self._renamed(
            [old, *(key for key in (*self.renames, *self.drops) if key.lower() == old.lower())], names
        )
        if decided is not None:
            return decided
        if self.application is not None and type(self.application).renamed_table is not Answers.renamed_table:
            return self.application.renamed_table(old, new)
        model = self._model_name(new)
        options = [f"--rename {old}={model}", f"--drop {old}"]
        return self._confirm(f"Rename the table {old} to {new.name} ({model})?", options)

    def renamed_column(self, table: sqlalchemy.Table, old: str, new: sqlalchemy.Column[Any]) -> bool:
        """Whether a column that the model no longer has was renamed."""
        model, field = self._model_name(table), self._field_name(table, new.name)
        keys = [f"{model}.{old}", f"{table.name}.{old}"]
        if any(self._is_target(table, field, new.name, key) for key in self.renames if key not in keys):
            return False  # another column has this new name
        decided = self._renamed(keys, {field, new.name})
        if decided is not None:
            return decided
        if self.application is not None and type(self.application).renamed_column is not Answers.renamed_column:
            return self.application.renamed_column(table, old, new)
        return self._confirm(
            f"Rename {model}.{old} to {model}.{field}?", [f"--rename {model}.{old}={field}", f"--drop {model}.{old}"]
        )

    def one_off(self, table: sqlalchemy.Table, column: sqlalchemy.Column[Any], field: Field[Any] | None) -> Any:
        """The value that existing rows get in a column that requires one."""
        model, name = self._model_name(table), self._field_name(table, column.name)
        for key in (f"{model}.{name}", f"{table.name}.{column.name}"):
            if key in self.one_offs:
                self.used.add(key)
                return _value(self.one_offs[key])
        answer = UNANSWERED if self.application is None else self.application.one_off(table, column, field)
        if answer is not UNANSWERED or field is None:
            return answer  # of the downgrade, which can do without
        question = f"{model}.{name} is required: which value do existing rows get? ({SQL}… for an expression)"
        return _value(self._answer(question, [f"--one-off {model}.{name}=VALUE", "or give the field a default"]))

    def enum_value(
        self, table: sqlalchemy.Table, column: sqlalchemy.Column[Any], value: Any, members: Sequence[Any]
    ) -> Any:
        """The stored value that replaces one that the enum no longer has; None to leave the rows alone."""
        model, name = self._model_name(table), self._field_name(table, column.name)
        label = f"{model}.{name}.{value}"
        by_text = {str(member): member for member in members}
        for key in (label, f"{table.name}.{column.name}.{value}"):
            if key in self.drops:
                self.used.add(key)
                return None
            if key in self.renames:
                self.used.add(key)
                return self._member(self.renames[key], by_text, key)
        if self.application is not None:
            answer = self.application.enum_value(table, column, value, members)
            if answer is not UNANSWERED:
                return answer
        known = ", ".join(by_text)
        options = [f"--rename {label}=MEMBER, one of {known}", f"--drop {label} leaves the rows as they are"]
        question = (
            f"Rows have {value!r} in {model}.{name}, which is no member any more. Which one replaces it? ({known})"
        )
        return self._member(self._answer(question, options), by_text, label)

    def unused(self) -> list[str]:
        """The options that answered nothing: they name something that does not change."""
        return sorted({*self.renames, *self.drops, *self.one_offs} - self.used)

    def refuse_unknown(self, connection: sqlalchemy.Connection) -> None:
        """Raise `OptionError` for an option with a name that neither the models nor the database have."""
        inspector = sqlalchemy.inspect(connection)
        known = {name: table for table in self._tables() for name in (table.name, self._model_name(table))}
        schemas = {None, *(table.schema for table in known.values())}
        stored = {name for schema in schemas for name in inspector.get_table_names(schema)}
        for option, keys in (("--rename", self.renames), ("--drop", self.drops), ("--one-off", self.one_offs)):
            for key in keys:
                text = f"{option} {key}={self.renames[key]}" if option == "--rename" else f"{option} {key}"
                owner, _, name = key.partition(".")
                if not name:
                    if owner.lower() not in {each.lower() for each in stored}:
                        _refuse_unless_in(owner, stored, text)
                    if option == "--rename":
                        _refuse_unless_in(self.renames[key], known, text)
                    continue
                _refuse_unless_in(owner, known, text)
                table = known[owner]
                names = {*(column.name for column in table.columns)}
                names |= {self._field_name(table, column) for column in names}
                field, _, member = name.partition(".")
                if option == "--one-off" or member:
                    _refuse_unless_in(field, names, text, owner)
                    continue
                if table.name in stored and inspector.has_table(table.name, table.schema):
                    columns = [column["name"] for column in inspector.get_columns(table.name, table.schema)]
                    _refuse_unless_in(name, columns, text, owner, "the database's table of ")
                if option == "--rename":
                    _refuse_unless_in(self.renames[key], names, text, owner)

    def refuse_unused(self, operations: Iterable[Any]) -> None:
        """Raise `OptionError` for a rename or a drop that the operations of a revision do not have.

        The values of rows, --one-off and the members of enums, may be needed on another database only.
        """
        done = set()
        for operation in operations:
            if isinstance(operation, ops.DropTableOp):
                done.add((operation.table_name.lower(), ""))
            elif isinstance(operation, ops.DropColumnOp) or getattr(operation, "modify_name", None):
                done.add((operation.table_name, operation.column_name))
        for key in self.unused():
            owner, _, name = key.partition(".")
            if key in self.one_offs or "." in name:
                continue
            table = next((each for each in self._tables() if owner in (each.name, self._model_name(each))), None)
            if not {(owner.lower(), name), (owner if table is None else table.name, name)} & done:
                option = f"--rename {key}={self.renames[key]}" if key in self.renames else f"--drop {key}"
                raise OptionError(f"{option} answers no question of this revision: {key} stays as it is")

    def _tables(self) -> list[sqlalchemy.Table]:
        tables = (model._meta.table for registry in self.registries for model in registry.models.values())
        return [table for table in tables if table is not None]

    def _renamed(self, keys: Iterable[str], names: set[str]) -> bool | None:
        for key in keys:
            if key in self.drops:
                self.used.add(key)
                return False
            if key in self.renames:
                if self.renames[key] in names:
                    self.used.add(key)
                    return True
                return False
        return None

    def _is_target(self, table: sqlalchemy.Table, field: str, column: str, key: str) -> bool:
        owner, _, _ = key.partition(".")
        return owner in (self._model_name(table), table.name) and self.renames[key] in (field, column)

    def _member(self, text: str, by_text: Mapping[str, Any], label: str) -> Any:
        if text not in by_text:
            raise OptionError(f"{label}: {text!r} is none of {', '.join(by_text)}{_closest(text, by_text)}")
        return by_text[text]

    def _confirm(self, question: str, options: list[str]) -> bool:
        return self._answer(f"{question} [y/N]", options).strip().lower() in ("y", "yes")

    def _answer(self, question: str, options: list[str]) -> str:
        if self.ask is None:
            raise UnansweredQuestion(f"{question} There is nobody to ask; answer with one of:", options)
        if question not in self._asked:
            self._asked[question] = self.ask(question)
        return self._asked[question]

    def _model_name(self, table: sqlalchemy.Table) -> str:
        for registry in self.registries:
            for model in registry.models.values():
                if model._meta.table is table:
                    return model.__name__
        return table.name

    def _field_name(self, table: sqlalchemy.Table, column: str) -> str:
        for registry in self.registries:
            for model in registry.models.values():
                if model._meta.table is table:
                    for field in model._meta.fields.values():
                        if field.column_name == column:
                            return str(field.name)
        return column


def _refuse_unless_in(name: str, known: Iterable[str], option: str, owner: str = "", what: str = "") -> None:
    names = sorted({*known})
    if name not in names:
        where = f"{what}{owner} has" if owner else "there is"
        one_of = f"; there are {', '.join(names)}" if names and not _closest(name, names) else ""
        raise OptionError(f"{option}: {where} no {name!r}{_closest(name, names)}{one_of}")


def _closest(name: str, known: Iterable[str]) -> str:
    matches = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {matches[0]!r}?" if matches else ""


def _read(option: str, text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name.strip():
        raise OptionError(f"{option} is NAME=VALUE, such as {option} Track.position=index, not {text!r}")
    return name.strip(), value


def _value(text: str) -> Any:
    return sqlalchemy.text(text.removeprefix(SQL)) if text.startswith(SQL) else text
