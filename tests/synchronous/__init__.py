"""The ORM without `await`: `orm.run()`, `orm.sync()`, threads, forks, Ctrl-C, notebooks, Celery."""
