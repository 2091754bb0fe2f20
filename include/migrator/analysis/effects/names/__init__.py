"""What names stand for, and what depends on them."""
