"""Consumers in the store: how they are kept, found, remembered and changed."""
