"""What computes, and with how many threads."""
