"""What of a text is copied from the training text."""
