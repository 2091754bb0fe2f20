"""From metadata to a DAG."""
