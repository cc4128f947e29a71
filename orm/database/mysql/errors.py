"""What the errors of MySQL's and MariaDB's drivers mean."""

from __future__ import annotations

import re

from orm import exceptions as ours
from orm.database.errors import pep_249_class

OurError = type[ours.Error]

# The server's numbers, and those of the drivers (2000 to 2999). MySQL's from 8000 on are TiDB's.
MYSQL_ERRORS: dict[int, OurError] = {
    **dict.fromkeys((1022, 1062, 1169, 1586, 1859), ours.UniqueViolation),
    **dict.fromkeys((1215, 1216, 1217, 1451, 1452, 1761, 1762), ours.ForeignKeyViolation),
    **dict.fromkeys((1048, 1364), ours.NotNullViolation),
    **dict.fromkeys((3819, 4025), ours.CheckViolation),
    **dict.fromkeys((1213, 1614), ours.Deadlock),
    # MariaDB: the row has changed since it was read. Group Replication: the group rolled the transaction back. TiDB: a
    # conflict of writes, or a schema that changed meanwhile.
    **dict.fromkeys((1020, 3101, 8002, 8022, 8028, 9007), ours.SerializationFailure),
    **dict.fromkeys((1205, 3058, 3572), ours.LockNotAvailable),
    **dict.fromkeys((1028, 1317, 1907, 1969, 3024), ours.QueryTimeout),
    # 1047 is a Galera node that is not part of the cluster.
    **dict.fromkeys((1047, 1053, 1077, 1079, 1152, 1156, 1157, 1158, 1159, 1160, 1161, 1184), ours.ConnectionLost),
    **dict.fromkeys((1927, 2002, 2003, 2006, 2013, 2014, 2027, 2055, 3168, 3169), ours.ConnectionLost),
    # 1792: the session's transactions only read. 3100: a member of a group that is blocked.
    **dict.fromkeys((1792, 1836, 1874, 3100), ours.ReadOnlyServer),
    8501: ours.CommitUnknown,
    **dict.fromkeys((1021, 1114), ours.DiskFull),
    **dict.fromkeys((1034, 1035, 1194, 1195, 1712, 1877), ours.DataCorrupted),
    **dict.fromkeys((1153, 1264, 1265, 1292, 1366, 1367, 1406, 1411, 1441, 1690, 3140, 3141, 3156), ours.DataError),
    # An invalid regular expression; the first code is MariaDB's.
    **dict.fromkeys((1139, *range(3685, 3699)), ours.DataError),
    1568: ours.TransactionError,
    **dict.fromkeys((1235, 1289, 1286), ours.NotSupportedError),
    **dict.fromkeys(
        (1054, 1060, 1061, 1063, 1064, 1065, 1091, 1103, 1109, 1110, 1128, 1136, 1142, 1143, 1146, 1149, 1227, 1305)
        + (1370, 1582),
        ours.ProgrammingError,
    ),
}
# Numbers with several meanings, or with another one on MariaDB, which the message tells apart.
MYSQL_MESSAGES: tuple[tuple[tuple[int, ...], re.Pattern[str], OurError], ...] = tuple(
    (numbers, re.compile(pattern, re.IGNORECASE), error)
    for numbers, pattern, error in (
        ((3, 1026, 1030, 1180), r"\b(?:error|errno|errcode):? 28\b", ours.DiskFull),
        ((1180,), r"\berror 149\b|deadlock", ours.SerializationFailure),
        ((1290,), r"read[-_]only", ours.ReadOnlyServer),
        ((4031,), r"\bdisconnected by the server\b", ours.ConnectionLost),
    )
)
# Messages of the drivers without a number. They close a connection whose task is cancelled while a result is read.
LOST_CONNECTION = re.compile(
    r"Not connected|Connection closed|Already closed|Cancelled during execution|Packet sequence number wrong"
    r"|Commands? Out of Sync"
)


MISSING_HASH = re.compile(r"FUNCTION \S+\.(?:MD5|SHA1) does not exist", re.IGNORECASE)


def classify(error: BaseException) -> OurError:
    """The ORM's class for an error of aiomysql (PyMySQL) or asyncmy."""
    code = error.args[0] if error.args else None
    message = str(error)
    if isinstance(code, int):
        if code in MYSQL_ERRORS:
            return MYSQL_ERRORS[code]
        for numbers, pattern, known in MYSQL_MESSAGES:
            if code in numbers and pattern.search(message):
                return known
    return ours.ConnectionLost if LOST_CONNECTION.search(message) else pep_249_class(error)


def message(error: BaseException) -> str | None:
    """What to do about an error; None if its own message is enough."""
    if not MISSING_HASH.search(str(error)):
        return None
    return (
        "MySQL 9.6 and newer have no MD5() and SHA1() of their own. Use SHA256, or have an administrator run "
        "INSTALL COMPONENT 'file://component_classic_hashing'."
    )


# "Duplicate entry 'x' for key 'note.by_text'", on MariaDB without the table. The entry can contain anything.
DUPLICATE = re.compile(r".* for key '(?:([^'.]+)\.)?([^']+)'$", re.DOTALL)
FOREIGN_KEY = re.compile(r".*\((?:`[^`]*`\.)?`([^`]*)`, CONSTRAINT `([^`]*)` FOREIGN KEY", re.DOTALL)
COLUMN = re.compile(r"(?:Column|Field) '([^']*)' (?:cannot be null|doesn't have a default value)")
CHECK = re.compile(r"Check constraint '([^']*)' is violated|CONSTRAINT `([^`]*)` failed for (?:`[^`]*`\.)?`([^`]*)`")


def violation(error: BaseException) -> ours.Violation:
    """What a message says about the violated constraint."""
    text = str(error.args[-1]) if error.args else ""
    if match := FOREIGN_KEY.match(text):
        return ours.Violation(match[2], match[1], is_referenced=error.args[0] in (1217, 1451))
    if match := DUPLICATE.match(text):
        return ours.Violation(match[2], match[1])
    if match := COLUMN.match(text):
        return ours.Violation(columns=(match[1],))
    if match := CHECK.match(text):
        return ours.Violation(match[1] or match[2], match[3])
    return ours.Violation()
