# Sourced by scripts/demo and scripts/test: finds a Python that can make an environment and has scripts/environment.py
# make, mend or merely check .venv. After `environment data` or `environment test`, $python is the one to run.
# POSIX sh; set -eu and $root are the caller's.

# Settings of the caller's shell that would make Python or pip read or write elsewhere than in .venv, or have each of
# the thousand processes that the checks start compile every module for itself.
unset PYTHONDONTWRITEBYTECODE PYTHONPATH PYTHONHOME PIP_USER PIP_TARGET PIP_PREFIX PIP_ROOT PIP_REQUIRE_VIRTUALENV

say() { printf '%s\n' "$*" >&2; }

# A name on PATH proves nothing (a version switcher leaves shims that fail), so each candidate is run.
new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' </dev/null >/dev/null 2>&1; }
has_venv() { "$1" -c 'import ensurepip, venv' </dev/null >/dev/null 2>&1; }

# Prints the first Python that will do, or says what is missing and fails.
find_python() {
    without_venv=
    if [ -n "${FLOWLEDGER_PYTHON:-}" ]; then
        set -- "$FLOWLEDGER_PYTHON"
    else
        set -- python3.13 python3.12 python3.11 python3
    fi
    for candidate in "$@"; do
        new_enough "$candidate" || continue
        if has_venv "$candidate"; then
            printf '%s\n' "$candidate"
            return 0
        fi
        without_venv=${without_venv:-$candidate}
    done
    if [ -n "$without_venv" ]; then
        version=$("$without_venv" -c 'import sys; print("%d.%d" % sys.version_info[:2])' </dev/null)
        say "flowledger: $without_venv is Python $version, but without the module venv (or ensurepip) that makes environments."
        say "Debian and Ubuntu have it in a package of its own: apt-get install python3-venv   (or python$version-venv)"
    elif [ -n "${FLOWLEDGER_PYTHON:-}" ]; then
        say "flowledger: FLOWLEDGER_PYTHON=$FLOWLEDGER_PYTHON does not run, or is older than Python 3.11."
    else
        say "flowledger needs Python 3.11 or newer: none of python3.13, python3.12, python3.11, python3 on PATH is one."
        say "On Debian 12 and Ubuntu 24.04 or newer: apt-get install python3 python3-venv"
    fi
    return 1
}

# environment LEVEL: makes .venv hold what LEVEL needs (core: to run; data: rows too; test: the checks too).
environment() {
    python=$root/.venv/bin/python
    if [ -x "$python" ] && "$python" -I "$root/scripts/environment.py" --check "$1" </dev/null 2>/dev/null; then
        return 0
    fi
    base=$(find_python) || exit 1
    "$base" -I "$root/scripts/environment.py" "$1" </dev/null || exit
}
