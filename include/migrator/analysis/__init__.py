"""What SQL would do, before it does it. `inspection.py` is the only door for others."""
