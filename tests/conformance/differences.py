"""The deliberate differences from Django: the reasons that cases give, and where the documentation lists them.

The reasons of `differs=`, `statements=` and `fewer=` in `areas/` are the keys; the values are words of the list in
`docs/coming-from-django.md`. A test holds the cases, this table and the page to each other.
"""

from __future__ import annotations

ANSWERS: dict[str, str] = {
    "Django leaves case to the collation; ours ignores it in any": "they follow the collation",
    "SQLite's LIKE, which Django uses, ignores the case of ASCII letters; we do not": "On SQLite Django's do not",
    "Django leaves case to SQLite, which knows that of ASCII letters; ours folds all": (
        "ignore case beyond ASCII as well"
    ),
    "NULL is not below a number; Django drops the condition, and NULL passes": "A NULL is not less than a number",
    "a number that no column can hold is left out; Django lets Python's OverflowError through": (
        "in a list such a number is ignored"
    ),
    "refused, as gt=None is; Django finds nothing": "or with None",
    "refused with our own error, where Django unpacks it and fails with Python's": "a range of one value",
    "Django takes a relation to many rows whose name has no underscores for one to a single row when it groups": (
        "An annotation that is a subquery over the joined rows of a to-many relation is grouped by its value"
    ),
    "Django joins a relation that may not be null by an INNER JOIN, and loses the rows without a match": (
        "also over a relation that may not be null"
    ),
    "Django joins by an INNER JOIN for a condition that it asks after the window, which then misses rows": (
        "A window in a condition sees all rows"
    ),
    "Django takes an empty list in the condition of a join for a query without rows": (
        "with an empty list in its condition"
    ),
    "Django recognises the joined row by an alias's name": "Django identifies that row by an alias's name",
    "Django forgets to ask for NULL when the join becomes an outer one after the condition": (
        "a column that can be NULL because of a join is checked for NULL"
    ),
    "MySQL's XOR with NULL is NULL, which Django leaves so; ours counts NULL as false everywhere": (
        "`^` treats a NULL as false"
    ),
    "on MySQL Django's negation of NULL is false; ours is NULL everywhere": "The negation of a NULL is NULL",
    "taken for ascending, as older Djangos took it": 'order_by("+title")',
    "MySQL takes no LIMIT inside IN, and Django leaves it so; ours puts the slice a level deeper": "A slice inside",
    "a step would run the query at once": "a slice with a step",
    "count() is how many rows there are; Django forgets what the rows are ordered by when it counts": (
        "`count()` of distinct rows is the number of rows that the query returns"
    ),
    "Django's own function for SQLite fails where there is a NULL": "`StdDev` and `Variance` on SQLite ignore NULLs",
    "refused before it reaches the database: Count(*) of distinct rows": '`Count("*", distinct=True)`',
    "refused before it reaches the database: an aggregate of an aggregate": "an aggregate of an aggregate",
    "refused before it reaches the database: annotate() it first": "an aggregate in a `filter()` without grouping",
    "refused before it reaches the database: one column is a value": "a queryset of two columns as a value",
    "Django refuses it; the rows that meet the condition are counted": '`Count("*", filter=…)`',
    "MySQL's sum is a decimal, which Django leaves so; ours is a whole number, as on other databases": (
        "A sum of integers over a window or a subquery is an integer"
    ),
    "SQLite's LOWER knows ASCII alone; ours all letters": "`Lower` and `Upper` convert letters beyond ASCII",
    "Django needs the extension pgcrypto; PostgreSQL has the function itself": "`SHA256` on PostgreSQL",
    "Django asks the server's tables of time zones, which MariaDB has only where they were loaded": "Time zones",
    "on MariaDB Django takes 1 and '1' for the same; ours does not": 'In JSON, 1 is not `"1"`',
    "a number is compared with numbers only; SQLite, and so Django, takes any text for greater": (
        "numbers are compared with numbers, and texts with texts"
    ),
    "a number is compared with numbers only; Django compares the text '1' as well": (
        "On SQLite and MariaDB Django compares one with the other"
    ),
    "Django refuses it on SQLite; ours has a function for it": "`contains` and `contained_by` work on SQLite too",
    "the text '1' stays a text; Django makes a number of it": 'a text `"1"` in JSON stays a text in `values()`',
    "a text field that may be blank takes None for empty text, as typesystem does": (
        "A text field with `allow_blank` takes None as empty text"
    ),
    "ours is validated first": "A value that the field cannot store",
    "the mean of integers has four digits there, which Django leaves so; ours has a float's everywhere": (
        "`Avg`, `StdDev` and `Variance` of integers have a float's digits"
    ),
    "Django compares the texts of dates and datetimes, so a midnight never equals its date": (
        "A date is compared with a datetime as its midnight"
    ),
    "Django reads it in UTC there, and without a time zone on PostgreSQL": "a date plus a duration has no time zone",
    "LAG() and LEAD() know no default on MariaDB, where Django sends it one; ours is a CASE there": (
        "a `default` of `Lag` and `Lead` on MariaDB"
    ),
    "Django leaves rows without keys that MySQL does not return; ours tell them by the first one": (
        "`bulk_create()` sets the keys of the rows on MySQL too"
    ),
    "MySQL updates no table that a subquery reads, and Django leaves it so; ours is a table of keys": (
        "`update()` of rows that a subquery of their own table finds works on MySQL too"
    ),
    "Django refuses F() as a condition by itself": "A boolean field is a condition",
    "Django refuses numbers of two kinds; the result is of the wider one": "take numbers of different types",
    "nothing is loaded implicitly: ours raises and names the call, Django sends a statement": (
        "Reading a relation or a column that was not loaded raises"
    ),
    "a key will do, as for many-to-many relations; Django wants an instance": "`add()` over a foreign key takes keys",
    "the key is loaded anyway": "`only()` with `select_related()` loads the relation's key in any case",
    "the relation itself may have a slice; Django fails without to_attr": (
        "A `Prefetch` with a slice works without `to_attr`"
    ),
    "Django takes the key of the pair from the first join of the table, and asks about the last": (
        "A `Prefetch` whose queryset joins the same relation twice"
    ),
    "Django inserts with IGNORE, which passes over a key that is nowhere, too": ("Django's `INSERT IGNORE` skips it"),
    "Django's foreign keys are checked at the end of the transaction, which is undone here": (
        "Django's foreign keys are checked at the end of the transaction"
    ),
    "refused; Django takes any attribute that is there for something prefetched": (
        "Django treats any existing attribute as prefetched"
    ),
}
STATEMENTS: dict[str, str] = {
    "ours is one statement": "`update()` across relations is one",
    "Django asks for the keys first on some databases; ours is one statement": "or selects their keys",
    "the database follows the relations itself; Django collects the rows first": "`delete()` is one statement",
    "Django looks for what hangs on it first": "Django first collects the rows",
    "how many rows go into one statement is each one's own affair": "how many rows go into one statement",
    "Django's update_or_create selects, then saves; the number of statements is not promised": (
        "how many queries `update_or_create` sends"
    ),
    "ours sends none": "A query that cannot match anything is not sent",
    "set() writes without asking first: a statement that removes, and one that adds": (
        "`set()` does not select the existing rows"
    ),
    "how many rows that are streamed are prefetched at once is each one's own affair": (
        "how many rows of `async for` are prefetched for at a time"
    ),
}
FEWER: dict[str, str] = {
    "Django asks first what is there, and then removes and adds in a statement each": (
        "`set()` does not select the existing rows"
    ),
    "Django asks first which pairs are there, and sends a statement for each way round of a symmetrical relation": (
        "`add()` over a many-to-many relation is one statement"
    ),
    "the key of a relation is there without asking; Django loads the row": (
        "The key of a relation is available without a query"
    ),
    "the keys that rows are attached by are always loaded; Django asks for each one": (
        "so are the keys by which prefetched rows are attached"
    ),
    "what the prefetched rows answer is not asked for": "The `count()` and `exists()` of prefetched rows send no query",
    "a graph is one statement, or the statements of one round trip": "`graph()` is one round trip",
}
