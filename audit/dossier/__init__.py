"""What an access, and a case, can be proven with: evidence as files, checked on the auditor's own machine.

Nothing here asks a service. The office hands out files (`parts`); `checks` verifies what stands behind one access under keys
that the reader holds already; `bundle` is a whole case in one signed file that verifies years later.
"""
