"""What both sides agree on: wire messages, problem types, joint models as pure state machines by role."""

import runpy

__distribution__ = "xinqiao"

runpy.run_path(f"{__path__[0]}/../models/_ownership.py")["require_own"](__file__, "crypto")
