"""Events on an append-only log, under the TinyDB surface (docs/journal.md)."""

from flowledger.journal.body import body_fields
from flowledger.journal.committer import Committer, InlineCommitter, ThreadCommitter
from flowledger.journal.database import JournalDB, JournalStorage, JournalTable
from flowledger.journal.filesystem import File, FileSystem, OsFileSystem
from flowledger.journal.journal import Journal, JournalReader
from flowledger.journal.opening import Recovery
from flowledger.journal.scan import Damage

__all__ = [
    "Committer",
    "Damage",
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
    "ThreadCommitter",
    "body_fields",
]
