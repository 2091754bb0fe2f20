"""What people write in YAML: read with its places, checked, refused in words; durations and wall times."""
