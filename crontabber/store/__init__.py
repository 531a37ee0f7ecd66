"""Keep the state of jobs: the only tier that knows PostgreSQL."""
