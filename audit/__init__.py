"""The transparency log, its verifier and witness; the credit office's service on top."""

import runpy

__distribution__ = "xinqiao"

runpy.run_path(f"{__path__[0]}/../models/_ownership.py")["require_own"](__file__, "crypto", "models")
