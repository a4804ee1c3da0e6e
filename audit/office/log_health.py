"""How the office's log stands: its last checkpoint, what waits, and how far each witness has come."""

from __future__ import annotations

from audit.office.office import Office
from audit.service.outcome import Call
from models.log_health import LogHealth, WitnessHealth


class Health:
    """The handler."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def shown(self, call: Call) -> LogHealth:
        """GET /log-health."""
        log = self._office.log
        with call.engine.connect() as connection:
            last = log.store.latest(connection)
            by_witness = log.store.last_cosigned(connection)
            cosigned = log.cosigned_size(connection, -1)
            waiting = log.store.queue_length(connection)
        seen = ((key, by_witness.get(str(key), (-1, 0))) for key in log.witnesses)
        return LogHealth(
            origin=log.origin,
            key=str(log.signer.key),
            size=last.size if last else 0,
            signed_at=last.time if last else 0,
            waiting=waiting,
            cosigned=-1 if cosigned is None else cosigned,
            quorum=log.quorum,
            witnesses=tuple(WitnessHealth(name=key.name, key=str(key), size=size, at=at) for key, (size, at) in seen),
        )
