"""The version. The build takes the distribution's from here, so a copy that is not installed knows it too."""

__version__ = "0.1.0"
