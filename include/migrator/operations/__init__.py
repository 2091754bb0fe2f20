"""Looking after a live database: health, reconcile."""
