"""`python -m audit.console`: the console's commands."""

from audit.console.cli import app

app()
