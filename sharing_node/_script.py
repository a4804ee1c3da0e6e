"""Where the `xinqiao` script starts.

The script may not name `models` itself: where that name is shadowed, Python would stop at a bare "No module
named 'models.cli'". `sharing_node` is unlikely to be taken, and importing it checks the others and explains.
"""

from models.cli import main

__all__ = ["main"]
