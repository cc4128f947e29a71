"""The conformance suite: Django and `orm` run the same queries on the same rows and must answer the same.

`models_and_rows` describes models and rows once; `django_side` builds them in Django, `orm_side` in `orm`. The cases
are data, in `areas/`, one file for each area; `random_queries` generates more of them. `compare` says what "the same"
means.
"""
