"""``python -m sharing_node …`` is ``xinqiao node …``."""

from sharing_node.cli import app

app(prog_name="xinqiao node")
