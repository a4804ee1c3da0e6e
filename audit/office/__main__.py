"""``python -m audit.office serve`` is ``xinqiao office serve``."""

from audit.office.cli import app

app(prog_name="xinqiao office")
