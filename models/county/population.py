"""Who lives in the county: villages, households with latent factors, organisations, and their valid numbers.

Three latent factors per household, standard normal, drive what every department and the bank see:

* ``wealth``: a third of its variance belongs to the village;
* ``diligence``: how a household keeps its promises and pays its bills;
* ``shock``: exposure to drought, hail, illness; partly the village's.

Everything here is drawn from seeded PCG64 generators: this is data for demonstrations and tests and must come out the same
each time; nothing drawn here is ever a secret.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from models.county import parameters as par

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Texts = npt.NDArray[np.object_]

_ID_WEIGHTS: Final = tuple(pow(2, 17 - i, 11) for i in range(17))
_USCC_ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC_WEIGHTS: Final = tuple(pow(3, i, 31) for i in range(17))
_ORG_WEIGHTS: Final = (3, 7, 9, 10, 5, 8, 4, 2)


def generator(seed: int, label: str) -> np.random.Generator:
    """A generator of its own for each part, so that a change in one part leaves the others as they were."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, zlib.crc32(label.encode())])))


def citizen_id(region: str, born: date, order: int) -> str:
    """An 18-character resident identity number: region, birth date, order code (odd for men), check digit (GB 11643)."""
    body = f"{region}{born:%Y%m%d}{order:03d}"
    return body + citizen_check(body)


def citizen_check(body: str) -> str:
    """The check character that belongs to 17 digits (GB 11643, ISO 7064 MOD 11-2)."""
    total = sum(int(digit) * weight for digit, weight in zip(body, _ID_WEIGHTS, strict=True))
    return "10X98765432"[total % 11]


def credit_code(kind: str, region: str, serial: int) -> str:
    """An 18-character unified social credit code (GB 32100) around an organisation code with its own check (GB 11714).

    ``kind`` is register and type: 91 enterprise, 92 individual business, 93 farmers' cooperative, N2 village collective.
    """
    organisation = f"MA{serial:06d}"
    total = sum((int(c, 36)) * w for c, w in zip(organisation, _ORG_WEIGHTS, strict=True))
    check = 11 - total % 11
    body = f"{kind}{region}{organisation}" + ("X" if check == 10 else "0" if check == 11 else str(check))
    total = sum(_USCC_ALPHABET.index(c) * w for c, w in zip(body, _USCC_WEIGHTS, strict=True))
    return body + _USCC_ALPHABET[(31 - total) % 31]


def quantile(table: par.Quantiles, uniform: Floats) -> Floats:
    """Inverse distribution function, linear between the table's points."""
    return np.interp(uniform, [p for p, _ in table], [v for _, v in table])


def uniform_of(normal: Floats) -> Floats:
    """Standard normal to uniform by rank, so that a marginal comes out exactly as its table says; shape (n,)."""
    ranks = np.empty(len(normal))
    ranks[np.argsort(normal, kind="stable")] = np.arange(len(normal))
    return (ranks + 0.5) / len(normal)


def choose(rng: np.random.Generator, options: tuple[tuple[str, float], ...], size: int) -> Texts:
    """Draw texts with the given weights; object array, shape (size,)."""
    names = np.array([name for name, _ in options], dtype=object)
    weights = np.array([weight for _, weight in options])
    return names[rng.choice(len(names), size=size, p=weights / weights.sum())]


@dataclass(frozen=True)
class Villages:
    """Natural villages with a 12-digit division code; all arrays have shape (villages,)."""

    code: Texts
    uscc: Texts
    name: Texts
    town: Ints
    wealth: Floats
    shock: Floats
    remote: Floats
    land: Floats


@dataclass(frozen=True)
class Households:
    """Households keyed by the head's number; all arrays have shape (households,)."""

    citizen_id_no: Texts
    name: Texts
    household_id: Texts
    village: Ints
    age: Ints
    size: Ints
    labour: Ints
    wealth: Floats
    diligence: Floats
    shock: Floats

    def __len__(self) -> int:
        """Number of households."""
        return len(self.citizen_id_no)


@dataclass(frozen=True)
class Organisations:
    """Organisations keyed by credit code; ``scale`` and ``quality`` are latent; all arrays have shape (organisations,)."""

    uscc: Texts
    name: Texts
    subject_type: Texts
    village: Ints
    scale: Floats
    quality: Floats

    def __len__(self) -> int:
        """Number of organisations."""
        return len(self.uscc)


@dataclass(frozen=True)
class Population:
    """All subjects on one date. ``strangers`` are customers of the bank from elsewhere: numbers only."""

    as_of: date
    villages: Villages
    households: Households
    organisations: Organisations
    strangers: Texts


def draw_population(seed: int, households: int, organisations: int, strangers: int, as_of: date) -> Population:
    """Draw villages, households, organisations and a few people of another county."""
    taken: set[str] = set()
    villages = _villages(seed, max(6, households // par.HOUSEHOLDS_PER_VILLAGE))
    people = _households(seed, households, villages, as_of, taken)
    rng = generator(seed, "strangers")
    ages = quantile(par.AGE, rng.uniform(0.05, 0.75, strangers)).astype(np.int64)
    numbers = _numbers(rng, par.OTHER_REGION, ages, as_of, taken)
    return Population(as_of, villages, people, _organisations(seed, organisations, len(villages.code)), numbers)


def _villages(seed: int, count: int) -> Villages:
    rng = generator(seed, "villages")
    index = np.arange(count)
    town = index // par.VILLAGES_PER_TOWN
    names = [
        f"{par.TOWNS[t % len(par.TOWNS)]}{'' if t < len(par.TOWNS) else t // len(par.TOWNS) + 1}镇"
        f"{par.VILLAGES[i % par.VILLAGES_PER_TOWN]}村"
        for i, t in zip(index, town, strict=True)
    ]
    return Villages(
        code=_texts(
            f"{par.REGION}{100 + t:03d}{200 + i % par.VILLAGES_PER_TOWN:03d}" for i, t in zip(index, town, strict=True)
        ),
        uscc=_texts(credit_code("N2", par.REGION, 900_001 + i) for i in range(count)),
        name=_texts(names),
        town=town,
        wealth=rng.standard_normal(count),
        shock=rng.standard_normal(count),
        remote=rng.uniform(size=count),
        land=np.exp(0.25 * rng.standard_normal(count)),
    )


def _households(seed: int, count: int, villages: Villages, as_of: date, taken: set[str]) -> Households:
    rng = generator(seed, "households")
    village = np.sort(rng.integers(len(villages.code), size=count))
    normal = rng.standard_normal((5, count))
    share = par.VILLAGE_SHARE
    wealth = np.sqrt(share) * villages.wealth[village] + np.sqrt(1 - share) * normal[0]
    diligence = 0.25 * wealth + np.sqrt(1 - 0.25**2) * normal[1]
    shock = np.sqrt(share) * villages.shock[village] + np.sqrt(1 - share) * normal[2]
    age = quantile(par.AGE, uniform_of(normal[3])).astype(np.int64)
    steps = np.cumsum(par.HOUSEHOLD_SIZE)
    # Older heads have smaller households (correlation about -0.2), richer ones larger.
    crowd = uniform_of(-0.2 * normal[3] + 0.25 * wealth + 0.95 * normal[4])
    size = 1 + np.searchsorted(steps[:-1], crowd, side="right")
    able = np.clip(0.78 - 0.012 * np.maximum(age - 55, 0), 0.25, 0.78)
    labour = np.minimum(size, rng.binomial(size, able) + (age < 68))
    serial = rng.permutation(count) + 1
    return Households(
        citizen_id_no=_numbers(rng, par.REGION, age, as_of, taken),
        name=_people(rng, count),
        household_id=_texts(f"HH{villages.code[v][6:]}{i:06d}" for i, v in zip(serial, village, strict=True)),
        village=village,
        age=age,
        size=size.astype(np.int64),
        labour=labour.astype(np.int64),
        wealth=wealth,
        diligence=diligence,
        shock=shock,
    )


def _organisations(seed: int, count: int, villages: int) -> Organisations:
    rng = generator(seed, "organisations")
    kinds = choose(rng, tuple(par.ORGANISATION_MIX.items()), count)
    # Every kind is there, however small the county.
    kinds[: len(par.ORGANISATION_MIX)] = list(par.ORGANISATION_MIX)[:count]
    register = {"F": "92", "C": "93"}
    labels = {
        "F": "家庭农场",
        "C": "农民专业合作社",
        "E": "农业有限公司",
        "S": "农业服务中心",
        "I": "农资经营部",
        "G": "粮油购销有限公司",
    }
    serials = rng.choice(800_000, size=count, replace=False) + 100_000
    stems = _people(rng, count)
    return Organisations(
        uscc=_texts(credit_code(register.get(k, "91"), par.REGION, s) for k, s in zip(kinds, map(int, serials), strict=True)),
        name=_texts(f"云禾县{stem[1:]}{labels[k]}" for stem, k in zip(stems, kinds, strict=True)),
        subject_type=kinds,
        village=rng.integers(villages, size=count),
        scale=rng.standard_normal(count),
        quality=rng.standard_normal(count),
    )


def _numbers(rng: np.random.Generator, region: str, ages: Ints, as_of: date, taken: set[str]) -> Texts:
    """Distinct identity numbers of people who are ``ages`` years old on ``as_of``."""
    numbers: list[str] = []
    day = 28 if (as_of.month, as_of.day) == (2, 29) else as_of.day
    for age in ages.tolist():
        while True:
            born = date(as_of.year - age, as_of.month, day) - timedelta(days=int(rng.integers(365)))
            number = citizen_id(region, born, int(rng.integers(1, 1000)))
            if number not in taken:
                break
        taken.add(number)
        numbers.append(number)
    return _texts(numbers)


def _people(rng: np.random.Generator, count: int) -> Texts:
    """Invented names of a surname and one or two characters."""
    surnames = rng.integers(len(par.SURNAMES), size=count)
    given = rng.integers(len(par.GIVEN), size=(count, 2))
    return _texts(par.SURNAMES[s] + par.GIVEN[a] + par.GIVEN[b] for s, (a, b) in zip(surnames, given, strict=True))


def _texts(values: Any) -> Texts:
    """An object array of the given texts."""
    items = list(values)
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array
