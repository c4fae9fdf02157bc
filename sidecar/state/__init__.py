"""What outlives a request: records by kind and name, in memory, in a SQLite file or in a Redis."""
