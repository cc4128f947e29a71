"""The model of `all_column_types` in Django, on the same table."""

from __future__ import annotations

from django.db import models as fields

from tests.sample_models import django_players

connected = django_players.connected


class Thing(fields.Model):
    name = fields.CharField(max_length=100, null=True)
    n = fields.IntegerField(null=True)
    x = fields.FloatField(null=True)
    d = fields.DecimalField(max_digits=10, decimal_places=3, null=True)
    flag = fields.BooleanField(default=True)
    day = fields.DateField(null=True)
    at = fields.TimeField(null=True)
    moment = fields.DateTimeField(null=True)
    lasts = fields.DurationField(null=True)
    data = fields.JSONField(null=True)
    whole = fields.ForeignKey("self", fields.DO_NOTHING, null=True, db_column="whole", related_name="+")

    class Meta:
        app_label = "world"
        db_table = "thing"
        managed = False
