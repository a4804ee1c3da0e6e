"""Joint trainings at the node: opening one within its limits, two rounds, the verdict, and the release of bands.

A training under way stands in the database (`running`), so any process of the node takes the next step, also after a restart.
"""
