"""What the dry run watches with: observer, comparison, checks."""
