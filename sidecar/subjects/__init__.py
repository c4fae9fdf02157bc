"""Directories of users: whether the one that a token names exists."""
