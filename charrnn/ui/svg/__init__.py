"""Pictures as SVG files."""
