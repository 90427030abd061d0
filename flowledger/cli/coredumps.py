"""A program that holds secrets in memory leaves no image of its memory behind, and lets no neighbour read it."""

from __future__ import annotations

import sys

_PR_SET_DUMPABLE = 4  # prctl(2)


def switch_off_core_dumps() -> None:
    """No core file of this process or its children; on Linux nobody of the same user may attach or read it either.

    The limit alone is not enough where the kernel hands dumps to a program (`core_pattern` with a pipe ignores it);
    undumpable processes are left out there too. It does not survive an exec, so children are as usual.
    """
    import resource

    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
