"""The lesson in a terminal: its screens and pictures."""
