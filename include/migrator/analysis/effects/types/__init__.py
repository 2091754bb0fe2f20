"""Types, casts, literals, and how volatile functions are."""
