"""What a model's state knows of whole texts."""
