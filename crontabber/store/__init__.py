"""The only tier that knows PostgreSQL."""
