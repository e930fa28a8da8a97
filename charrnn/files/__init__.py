"""Files: durable, atomic writing, and reading of untrusted files with limits."""
