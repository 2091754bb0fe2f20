"""What the target's catalog says about what a migration touches."""
