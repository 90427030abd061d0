"""Events on an append-only log, under the TinyDB surface (docs/journal.md)."""

from flowledger.journal.body import body_fields
from flowledger.journal.committer import Committer, InlineCommitter, ThreadCommitter
from flowledger.journal.database import JournalDB, JournalStorage, JournalTable
from flowledger.journal.filesystem import File, FileSystem, OsFileSystem
from flowledger.journal.journal import Journal, JournalReader
from flowledger.journal.opening import Recovery
from flowledger.journal.repair import Dropped, RepairReport, VerifyReport, repair, verify
from flowledger.journal.scan import Damage
from flowledger.journal.simulated import SimulatedFileSystem

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
    "JournalStorage",
    "JournalTable",
    "OsFileSystem",
    "Recovery",
    "RepairReport",
    "SimulatedFileSystem",
    "ThreadCommitter",
    "VerifyReport",
    "body_fields",
    "repair",
    "verify",
]
