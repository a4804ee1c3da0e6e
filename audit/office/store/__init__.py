"""All SQL of the office, one module a story. Functions work inside the caller's transaction; none commits."""
