"""Text from a model: the distribution of the next character, one symbol at a time, beams."""
