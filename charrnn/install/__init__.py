"""This installation: its version, and the extras, which are libraries that a part of charrnn needs."""
