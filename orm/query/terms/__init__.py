"""Terms: the values of a query, as columns, functions, aggregates and subqueries."""
