"""The `.wandb` transaction log: framing, records, reader. Releasable alone."""

from backhaul.wandblog.framing import Damage, DamageKind, RawRecord
from backhaul.wandblog.reader import LogEnd, LogReader, LogRecord

__all__ = ["Damage", "DamageKind", "LogEnd", "LogReader", "LogRecord", "RawRecord"]
