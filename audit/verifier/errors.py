"""What can be wrong with a log, as exceptions.

```
LogError
├── FormatError       a note, checkpoint, receipt, tile or bundle is not written as its format demands
├── SignatureError    a signature that must be there is missing or does not verify
├── ProofError        a Merkle proof does not lead to the root that was signed
├── DamagedLog        the check of a whole log failed; `where` names the entry, tile or checkpoint line
├── LogUnavailable    the log did not take the entry in time: nothing may be released
├── LogRefusal        the signer refuses: what is stored is not what it signed
└── EntryTooLarge     an entry above 65,535 bytes
```
"""

from __future__ import annotations


class LogError(Exception):
    """The root of everything that the log and its verifier raise."""


class FormatError(LogError):
    """Bytes that are not written as their format demands."""


class SignatureError(LogError):
    """A signature that must be there is missing or does not verify."""


class ProofError(LogError):
    """A Merkle proof that does not lead to the signed root."""


class DamagedLog(LogError):
    """A log that is not what its checkpoint says. `where`: an entry's index, a tile's path or a checkpoint's line."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"{where}: {why}")
        self.where = where
        self.why = why


class LogUnavailable(LogError):
    """The log did not take the entry in time. The caller must not release what the entry would have recorded."""


class LogRefusal(LogError):
    """The signer refuses to sign, because what is stored is not what it signed before. An operator must look."""


class EntryTooLarge(LogError, ValueError):
    """An entry that does not fit the two length bytes of an entry bundle."""
