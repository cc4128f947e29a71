"""What the errors of MySQL's and MariaDB's drivers mean."""

from __future__ import annotations

from orm import exceptions as ours
from orm.database.dialect import pep_249_class

OurError = type[ours.Error]

MYSQL_ERRORS: dict[int, OurError] = {
    **dict.fromkeys((1022, 1062, 1169, 1586, 1859), ours.UniqueViolation),
    **dict.fromkeys((1215, 1216, 1217, 1451, 1452, 1761, 1762), ours.ForeignKeyViolation),
    **dict.fromkeys((1048, 1364), ours.NotNullViolation),
    **dict.fromkeys((3819, 4025), ours.CheckViolation),
    **dict.fromkeys((1213, 1614), ours.Deadlock),
    1020: ours.SerializationFailure,  # MariaDB: the row has changed since it was read
    **dict.fromkeys((1205, 3572), ours.LockNotAvailable),
    **dict.fromkeys((1028, 1317, 1907, 1969, 3024), ours.QueryTimeout),
    **dict.fromkeys(
        (1053, 1077, 1079, 1152, 1158, 1159, 1160, 1161, 1927, 2006, 2013, 2014, 2055), ours.ConnectionLost
    ),
    **dict.fromkeys((1264, 1265, 1292, 1366, 1367, 1406, 1411, 1441, 1690, 3140, 3141, 3156), ours.DataError),
    **dict.fromkeys((1568, 1792), ours.TransactionError),
    **dict.fromkeys((1235, 1289, 1286), ours.NotSupportedError),
    **dict.fromkeys(
        (1054, 1060, 1061, 1063, 1064, 1065, 1091, 1103, 1109, 1110, 1128, 1136, 1142, 1143, 1146, 1149, 1305, 1582),
        ours.ProgrammingError,
    ),
}


def classify(error: BaseException) -> OurError:
    """The ORM's class for an error of aiomysql (PyMySQL) or asyncmy."""
    code = error.args[0] if error.args else None
    if isinstance(code, int) and code in MYSQL_ERRORS:
        return MYSQL_ERRORS[code]
    message = str(error)
    # The drivers close a connection whose task is cancelled while a result is read.
    if "Not connected" in message or "Connection closed" in message or "Cancelled during execution" in message:
        return ours.ConnectionLost
    return pep_249_class(error)
