"""Statements that make, drop and maintain objects."""
