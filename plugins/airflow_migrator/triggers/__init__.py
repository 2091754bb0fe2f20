"""What the triggerer waits for on behalf of a deferred stage."""
