# The image of every Airflow service: Airflow, the engine, and PostgreSQL's client programs for snapshots.
FROM apache/airflow:3.3.2-python3.12

# pg_dump must not be older than the servers that it dumps. The client packages of PostgreSQL 18 dump all of 14 to 18.
USER root
RUN apt-get update \
    && apt-get install --yes --no-install-recommends postgresql-common ca-certificates \
    && /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y \
    && apt-get install --yes --no-install-recommends postgresql-client-18 \
    && apt-get clean \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/migrator
RUN chown airflow:0 /opt/migrator
USER airflow

COPY --chown=airflow:0 requirements.txt constraints.txt ./
# Celery, Redis and FAB come with the image; what they need is pinned by the image, the rest by constraints.txt.
RUN pip install --no-cache-dir -r requirements.txt -c constraints.txt

COPY --chown=airflow:0 pyproject.toml LICENSE ./
COPY --chown=airflow:0 include include
COPY --chown=airflow:0 plugins plugins
COPY --chown=airflow:0 dags dags
COPY --chown=airflow:0 migrations migrations
# Volumes mounted here take over these directories' owner.
RUN pip install --no-cache-dir --no-deps -e . && mkdir snapshots evidence

ENV AIRFLOW__CORE__DAGS_FOLDER=/opt/migrator/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/migrator/plugins \
    AIRFLOW__CORE__LOAD_EXAMPLES=False \
    MIGRATOR_HOME=/opt/migrator \
    MIGRATOR_CACHE=/tmp/migrator-cache
