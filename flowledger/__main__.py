"""`python -m flowledger`: the same as the console script."""

from __future__ import annotations

from flowledger.cli import main

if __name__ == "__main__":
    main()
