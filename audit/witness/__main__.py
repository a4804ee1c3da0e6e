"""``python -m audit.witness serve`` is ``xinqiao witness serve``."""

from audit.witness.cli import app

app(prog_name="xinqiao witness")
