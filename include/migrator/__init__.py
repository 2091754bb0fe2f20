"""The migration engine: plain Python and psycopg 3, without Airflow and without environment variables."""

__version__ = "0.1.0"
