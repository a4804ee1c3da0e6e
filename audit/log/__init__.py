"""The writing side of the log: `Log` in every process of a service, `Sequencer` in one of them at a time."""

from audit.log.cosign import Cosigner
from audit.log.high_water import HighWater, HighWaterFile
from audit.log.log import Log
from audit.log.sequencer import Sequencer
from audit.log.tables import LogTables, log_tables

__all__ = ["Cosigner", "HighWater", "HighWaterFile", "Log", "LogTables", "Sequencer", "log_tables"]
