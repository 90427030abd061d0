"""Events on an append-only log, under the TinyDB surface (docs/journal.md)."""

from flowledger.journal.body import body_fields
from flowledger.journal.committer import Committer, InlineCommitter, ThreadCommitter
from flowledger.journal.database import JournalDB, JournalStorage, JournalTable
from flowledger.journal.filesystem import File, FileSystem, OsFileSystem
from flowledger.journal.journal import Journal, JournalReader
from flowledger.journal.opening import Recovery
from flowledger.journal.overlay import OverlayFileSystem
from flowledger.journal.pruning import PruneReport, prune
from flowledger.journal.repair import Dropped, RepairReport, repair
from flowledger.journal.scan import Damage
from flowledger.journal.simulated import SimulatedFileSystem
from flowledger.journal.stats import JournalStats, stats
from flowledger.journal.verify import SegmentReport, VerifyReport, verify

__all__ = [
    "Committer",
    "Damage",
    "Dropped",
    "File",
    "FileSystem",
    "InlineCommitter",
    "Journal",
    "JournalDB",
    "JournalReader",
    "JournalStats",
    "JournalStorage",
    "JournalTable",
    "OsFileSystem",
    "OverlayFileSystem",
    "PruneReport",
    "Recovery",
    "RepairReport",
    "SegmentReport",
    "SimulatedFileSystem",
    "ThreadCommitter",
    "VerifyReport",
    "body_fields",
    "prune",
    "repair",
    "stats",
    "verify",
]
