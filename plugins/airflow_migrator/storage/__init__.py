"""Where evidence and snapshots lie, reached through Airflow's object storage."""
