"""Django's own ORM tests, run on `orm`.

Django's tests come from its source distribution (`archive.py`) and run unchanged, but for the few lines in `areas.py`.
`shim/` gives them Django's names, synchronously, over `orm`. `run_area.py` runs one area of them on one database, in a
process of its own, because the shim changes the classes of `orm`. `declared.py` and the modules beside it say which
tests do not pass, and why; `outcomes.py` compares, and `report.py` writes `docs/django-suite.md`.

    make django-suite                                  # every area on SQLite, and on the servers that are named
    python -m tests.django_suite.run_area queries      # one area on SQLite, with the failures
"""
