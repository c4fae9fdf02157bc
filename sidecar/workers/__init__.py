"""Several processes that serve as one: who starts them, and what they have in common."""
