"""The local stack for the demonstration and the acceptance tests: real PostgreSQL servers and a real Airflow.

It talks to Airflow by process and HTTP only, and to the engine through its public functions.
"""
