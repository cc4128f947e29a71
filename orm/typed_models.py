"""`TypedModel`: a base class of models whose constructor type checkers know."""

from __future__ import annotations

from typing_extensions import dataclass_transform

from orm import fields, relations
from orm.models import Model


@dataclass_transform(
    kw_only_default=True,
    field_specifiers=(
        fields.Array,
        fields.BigInteger,
        fields.BigIntegerRange,
        fields.Binary,
        fields.Boolean,
        fields.CIText,
        fields.Date,
        fields.DateRange,
        fields.DateTime,
        fields.DateTimeRange,
        fields.Decimal,
        fields.DecimalRange,
        fields.Duration,
        fields.Email,
        fields.Enum,
        fields.Field,
        fields.Float,
        fields.HStore,
        fields.IPAddress,
        fields.Integer,
        fields.IntegerRange,
        fields.Interval,
        fields.JSON,
        fields.PositiveBigInteger,
        fields.PositiveInteger,
        fields.PositiveSmallInteger,
        fields.Slug,
        fields.SmallInteger,
        fields.String,
        fields.Text,
        fields.Time,
        fields.URL,
        fields.UUID,
        relations.Embedded,
        relations.ForeignKey,
        relations.OneToOne,
    ),
)
class TypedModel(Model):
    """A model whose fields are annotated, so that type checkers know its constructor.

        class Album(orm.TypedModel):
            registry = models

            id: orm.Field[int] = orm.Integer(primary_key=True, default=None)
            name: orm.Field[str] = orm.String(max_length=100)
            label: orm.ForeignKey[Label | None] = orm.ForeignKey(Label, allow_null=True, default=None)

        await Album(name="Heavy Rain").save()
        Album(nam="Heavy Rain")  # refused by mypy, pyright and ty

    To a type checker, an argument may be left out if its field has a `default`. A key that the database generates, a
    null field and a field with `auto_now` take `default=None`, which changes nothing else. What other code adds is
    declared in `ClassVar`: ``albums: ClassVar[orm.RelatedManager["Album"]]``, ``label_id: ClassVar[orm.Field[int]]``.
    """

    class Meta:
        abstract = True
