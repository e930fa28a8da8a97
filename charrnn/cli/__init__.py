"""One file per command: parse, call, render, exit code. Typer lives here only."""
