"""Results as web pages: each one file that works without a network."""
