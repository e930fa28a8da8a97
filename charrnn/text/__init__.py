"""Texts as a network meets them: sources, corpus, vocabulary, streams."""
