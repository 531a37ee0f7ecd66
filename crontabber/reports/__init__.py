"""The reports: states come in, text goes out; the caller prints it."""
