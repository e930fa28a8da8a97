"""A model, its file, and the layout of its tensors, which is torch's."""
