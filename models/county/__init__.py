"""A synthetic county for the demonstration and the tests: departments' files, a bank's loans, consents, and the truth.

``generate_county`` writes a folder in which everything is fictional and everything is known: the outcomes of the bank's loans
follow a logistic model of both sides' fields that stands in ``truth/model.json``, so that tests can say what a scorecard on
either side, or on both, should reach. The same seed gives the same bytes. The model is described in docs/synthetic-county.md.
"""

from __future__ import annotations

from models.county.county import AS_OF, SYNTHETIC, CountySummary, generate_county

__all__ = ["AS_OF", "SYNTHETIC", "CountySummary", "generate_county"]
