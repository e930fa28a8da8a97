"""What a Python program sees beside the values: signatures, arguments in errors, pictures in notebooks, data frames."""
