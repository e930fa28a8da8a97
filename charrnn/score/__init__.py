"""How well a text is predicted: by a model in one pass, and by simple models beside it."""
