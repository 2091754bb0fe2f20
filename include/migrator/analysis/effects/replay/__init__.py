"""What a statement leaves behind: the world after it."""
