"""The `.wandb` transaction log: framing, salvage, records, reader, writer. Releasable alone."""

from backhaul.wandblog.damage import Damage, DamageKind
from backhaul.wandblog.framing import RawRecord
from backhaul.wandblog.reader import LogEnd, LogReader, LogRecord
from backhaul.wandblog.tear import Tear
from backhaul.wandblog.writer import LogWriter

__all__ = ["Damage", "DamageKind", "LogEnd", "LogReader", "LogRecord", "LogWriter", "RawRecord", "Tear"]
