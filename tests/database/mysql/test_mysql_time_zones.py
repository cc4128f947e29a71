"""SQL of local time, for servers with tables of time zones and without."""

from __future__ import annotations

import pytest

from orm.database.dialect_registry import dialects

DAY_IN_BERLIN = ("day", "aware", "aware", "Europe/Berlin")
HOUR_BY_OFFSET = ("hour", "aware", "+3600")


@pytest.mark.parametrize("name", ["mysql", "mariadb"])
def test_trunc_in_zone_with_tables_converts_by_name(name: str) -> None:
    dialect = dialects[name].for_server(1)
    sql = dialect.function("trunc", DAY_IN_BERLIN, ["moment"])
    assert dialect is dialects[name]
    assert len(sql) < 600 and sql.startswith("CONVERT_TZ(CAST(DATE(CONVERT_TZ(moment, '+00:00', ")


@pytest.mark.parametrize("name", ["mysql", "mariadb"])
def test_trunc_in_zone_that_the_tables_lack_raises_error_with_line_to_load_them(name: str) -> None:
    sql = dialects[name].function("trunc", DAY_IN_BERLIN, ["moment"])
    assert "The server has no time zone Europe/Berlin." in sql
    assert "mysql_tzinfo_to_sql /usr/share/zoneinfo | mysql -u root mysql" in sql


@pytest.mark.parametrize("name", ["mysql", "mariadb"])
def test_trunc_in_zone_without_tables_has_clock_changes_in_sql(name: str) -> None:
    dialect = dialects[name].for_server(0)
    assert dialect is dialects[name].for_server(0) is not dialects[name]
    assert "CONVERT_TZ" not in dialect.function("trunc", DAY_IN_BERLIN, ["moment"])


@pytest.mark.parametrize("has_tables", [0, 1])
def test_extract_by_fixed_offset_needs_no_tables(has_tables: int) -> None:
    sql = dialects["mysql"].for_server(has_tables).function("extract", HOUR_BY_OFFSET, ["moment"])
    assert sql == "EXTRACT(HOUR FROM (moment + INTERVAL 3600 SECOND))"
