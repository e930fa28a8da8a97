"""A run's folder: its files, who may write to it, its records, and what they say of the run."""
