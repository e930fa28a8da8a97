"""Text input: sources, corpus, vocabulary, and the streams that training reads."""
