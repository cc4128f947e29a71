"""`DECLARED`: everything that does not pass, in the order in which the documentation lists it."""

from __future__ import annotations

from tests.django_suite.declared import Declared
from tests.django_suite.different import DIFFERENCES
from tests.django_suite.missing import MISSING_FEATURES
from tests.django_suite.not_judged import NOT_JUDGED
from tests.django_suite.open_faults import OPEN_FAULTS

DECLARED: tuple[Declared, ...] = (*DIFFERENCES, *MISSING_FEATURES, *NOT_JUDGED, *OPEN_FAULTS)
