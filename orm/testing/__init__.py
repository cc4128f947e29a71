"""For the tests of applications: exact query counts, what waits for a commit, rows of models, and a plugin for pytest.

    from orm.testing import Factory, assert_num_queries, capture_on_commit

The fixtures are in `orm.testing.plugin`.
"""

from orm.testing.counts import assert_num_queries, sql_of
from orm.testing.factory import Factory
from orm.testing.on_commit import CommitCapture, capture_on_commit

__all__ = ["CommitCapture", "Factory", "assert_num_queries", "capture_on_commit", "sql_of"]
