"""A witness for any service to mount: `Witness` over a `WitnessStore`; see `machine` for the protocol."""

from audit.witness.machine import Reply, Seen, Witness, WitnessStore

__all__ = ["Reply", "Seen", "Witness", "WitnessStore"]
