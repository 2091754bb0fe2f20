"""Restorable copies: what takes a copy of a target, keeps it, and restores it elsewhere."""
