"""A training run: its plan, session, loop and schedules, and those who watch it."""
