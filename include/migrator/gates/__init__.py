"""What must be true before anything changes; asked by preflight, asked again by apply inside the lock."""
