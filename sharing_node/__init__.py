"""The data bureau's node: catalogue, ingestion, epoch tables, projects, joint jobs, private query."""

import runpy

__distribution__ = "xinqiao"

runpy.run_path(f"{__path__[0]}/../models/_ownership.py")["require_own"](__file__, "crypto", "models", "audit")
