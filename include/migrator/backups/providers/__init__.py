"""The backup providers, one a file."""
