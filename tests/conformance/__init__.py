"""The conformance suite: Django and `orm` run the same queries on the same rows, and must answer the same.

`world` describes models and rows once; `reference` makes them in Django, `subject` in `orm`. The cases are data, in
`areas/`, one file for each area; `generated` makes up more of them. `compare` says what "the same" means.
"""
