"""What differs between the databases in migrations: how they describe a table, and how they change one."""
