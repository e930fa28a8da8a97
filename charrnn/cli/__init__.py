"""One file per command. Typer lives here only."""
