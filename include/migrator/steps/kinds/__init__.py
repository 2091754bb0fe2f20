"""The step kinds, one a file."""
