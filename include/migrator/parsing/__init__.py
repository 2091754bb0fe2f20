"""SQL text to statements, and back. `statements.py` alone knows the parser."""
