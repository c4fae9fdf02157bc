"""What outlives a request: records by kind and name, in memory or in a file."""
