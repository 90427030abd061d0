"""The emulator's data plane: source files as tables, mapping and validation over columns (extra `data`, pyarrow).

Nothing outside this folder imports pyarrow, and nobody imports this folder before data is asked for.
"""

from __future__ import annotations
