"""The bank's side: the SDK, the officer's desk, the command line."""

import runpy

__distribution__ = "xinqiao"

runpy.run_path(f"{__path__[0]}/../models/_ownership.py")["require_own"](__file__, "crypto", "models", "audit")
