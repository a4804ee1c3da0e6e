"""Joint trainings at the node: opening one within its limits, two rounds, the verdict, and the release of bands.

A running training lives in this process's memory, because its masks must never be used twice: after a restart it is
gone, the bank is told so, and starts a new one on the same cohort.
"""
