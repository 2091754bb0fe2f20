"""Everything of the migrator that subclasses Airflow. The engine is `migrator`; this package only calls it."""
