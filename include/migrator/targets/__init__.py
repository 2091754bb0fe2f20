"""The databases that may be changed, their policy, and when."""
