"""The ten stages of a run, one a file, named as their tasks."""
