"""What was shown of a score table's bands, a row for each quarter: counted once, and given again as it was."""

from __future__ import annotations

from sqlalchemy import Connection, ForeignKey, LargeBinary, String, insert, select
from sqlalchemy.orm import Mapped, mapped_column

from models import wire
from models.problems import Conflict
from models.scorecard.table_drift import BandShares
from sharing_node.database import Base
from sharing_node.state.repository import one_at_a_time
from sharing_node.state.tables import ModelRow


class BandSharesRow(Base):
    """One quarter of one model's table as it was shown; never counted anew."""

    __tablename__ = "band_shares"

    model: Mapped[str] = mapped_column(ForeignKey(ModelRow.id), primary_key=True)
    quarter: Mapped[str] = mapped_column(String(8), primary_key=True)
    shown: Mapped[bytes] = mapped_column(LargeBinary)


def shown_quarters(connection: Connection, model: str) -> tuple[BandShares, ...]:
    """All quarters of a model, oldest first."""
    wanted = select(BandSharesRow.shown).where(BandSharesRow.model == model).order_by(BandSharesRow.quarter)
    return tuple(wire.decode(shown, BandShares) for shown in connection.scalars(wanted))


def add_quarter(connection: Connection, model: str, shares: BandShares) -> None:
    """Keep what is shown. Raises `Conflict` if the quarter was counted meanwhile, maybe of other people."""
    one_at_a_time(connection)
    if any(quarter.quarter == shares.quarter for quarter in shown_quarters(connection, model)):
        raise Conflict("this quarter was counted in the meantime; ask again")
    connection.execute(insert(BandSharesRow).values(model=model, quarter=shares.quarter, shown=wire.encode(shares)))
