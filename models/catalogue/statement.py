"""The node's catalogue as it states it to whoever asks: what each field means, who supplies it, how far it travels."""

from __future__ import annotations

from typing import cast

from models.catalogue.catalogue import IDENTITY_COLUMNS, Catalogue, Identity
from models.catalogue.field import CatalogueError
from models.problems import BadMessage
from models.wire import Message


class CatalogueStatement(Message):
    """A whole catalogue: how its files name subjects, and its CSV, which is read and checked like any other."""

    identity: str
    csv: bytes

    @classmethod
    def of(cls, catalogue: Catalogue) -> CatalogueStatement:
        """What a node states."""
        return cls(identity=catalogue.identity, csv=catalogue.to_csv())

    def read(self) -> Catalogue:
        """The catalogue; raises `BadMessage` where it does not hold together."""
        if self.identity not in IDENTITY_COLUMNS:
            raise BadMessage("the stated catalogue names subjects in a way that this version does not know")
        try:
            return Catalogue.from_csv(self.csv, identity=cast(Identity, self.identity))
        except CatalogueError as error:
            raise BadMessage(f"the stated catalogue cannot be read: {error}") from None
