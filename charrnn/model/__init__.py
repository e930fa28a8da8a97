"""A model, its file, and its tensors as torch names them."""
