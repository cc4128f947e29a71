"""The ORM without `await`: `orm.sync()`, and the querysets and managers that it gives."""
