"""The `.wandb` transaction log: framing, salvage, records, reader, writer. Releasable alone."""

from backhaul.wandblog.damage import Damage, DamageKind
from backhaul.wandblog.raw import RawRecord
from backhaul.wandblog.reader import LogEnd, LogReader
from backhaul.wandblog.record import Batch, LogRecord
from backhaul.wandblog.tear import Tear
from backhaul.wandblog.writer import LogWriter

__all__ = ["Batch", "Damage", "DamageKind", "LogEnd", "LogReader", "LogRecord", "LogWriter", "RawRecord", "Tear"]
