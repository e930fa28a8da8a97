"""Reading corpora, vocabulary, batches."""
