"""The parts of a text that are copied from the training text."""
