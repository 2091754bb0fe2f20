"""Migrations as they lie on disk: metadata, expected changes, order, content digest."""
