"""Airflow connections and policies as what the engine takes."""
