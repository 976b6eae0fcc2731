"""A new, valid log out of a damaged one, with a loss report. The original is only read."""

from backhaul.repair.report import RepairReport
from backhaul.repair.run import Mode, repair_run

__all__ = ["Mode", "RepairReport", "repair_run"]
