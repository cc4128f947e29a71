"""The expressions that users write: `F`, `Q`, `Value`, `Func`, subqueries and CTEs."""
