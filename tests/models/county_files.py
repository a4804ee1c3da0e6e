"""A synthetic county read back from its folder, as tests need it."""

from __future__ import annotations

import csv
from pathlib import Path

from models.catalogue import default_catalogue
from models.county import CountySummary
from models.county.writing import ENCODINGS

Row = dict[str, str]


class County:
    """The folder read back, once for all tests."""

    def __init__(self, folder: Path, summary: CountySummary) -> None:
        self.folder, self.summary = folder, summary
        self.node = {c: self.read(f"node/{c}.csv", ENCODINGS.get(c, "utf-8")) for c in default_catalogue().categories}
        self.defects = self.read("truth/defects.csv")
        faulty: dict[str, set[int]] = {}
        for defect in self.defects:
            faulty.setdefault(Path(defect["file"]).stem, set()).add(int(defect["line"]))
        self.good = {
            category: [row for line, row in enumerate(rows, start=2) if line not in faulty.get(category, set())]
            for category, rows in self.node.items()
        }

    def read(self, name: str, encoding: str = "utf-8") -> list[Row]:
        with (self.folder / name).open(encoding=encoding, newline="") as file:
            return list(csv.DictReader(file))

    def households(self) -> dict[str, dict[str, float]]:
        """Numeric fields of households by number; what was not sent is absent."""
        catalogue, found = default_catalogue(), {}
        for category, rows in self.good.items():
            names = [f.name for f in catalogue.fields_of(category) if f.kind in ("int", "decimal")]
            for row in rows:
                if row["citizen_id_no"]:
                    values = found.setdefault(row["citizen_id_no"], {})
                    values.update({name: float(row[name]) for name in names if row[name]})
        return found
