"""The top of the command line: what `flowledger --help` says, and the families of verbs in the order of need."""

from __future__ import annotations

from typing import Annotated

import typer

from flowledger.cli import (
    completion,
    config,
    demo,
    destroy,
    doctor,
    drift,
    emulator,
    journal,
    look,
    provision,
    read,
    schema,
    specs,
    watch,
)
from flowledger.cli.calls import Verbs
from flowledger.cli.command import guarded

EPILOG = """\b
A first run, without credentials and without Adobe:
  $ flowledger demo
  $ flowledger init paypal && flowledger apply paypal-products.yaml --local

\b
Environment (flags outrank it; it outranks profile, spec and defaults):
  FLOWLEDGER_JOURNAL         journal directory (.flowledger/journal)
  FLOWLEDGER_BASE_URL        the platform (https://platform.adobe.io)
  FLOWLEDGER_IMS_URL         IMS (Adobe's; an emulator serves both on one URL)
  FLOWLEDGER_CLIENT_ID       credentials: OAuth server-to-server client id,
  FLOWLEDGER_CLIENT_SECRET   its secret (or ..._SECRET_FILE, _SECRET_COMMAND),
  FLOWLEDGER_ORG_ID          and the organisation, like 1234@AdobeOrg
  FLOWLEDGER_SANDBOX         sandbox (prod)
  FLOWLEDGER_PROFILE         profile to take settings from (docs/commands.md)
  FLOWLEDGER_KINDS           files and folders that define kinds of your own
  FLOWLEDGER_LOG_FORMAT      json: stderr as JSON lines
  NO_COLOR                   no colour

\b
Exit codes:
  0   ok                       6   journal held by another process
  1   failed                   7   rejected, conflict, title taken
  2   usage; plan: changes     8   drift: something is gone or was edited
  3   spec invalid or changed  9   journal damaged
  4   credentials, permission  75  try resume later: interrupted, in doubt,
  5   not found                    disk full, unreachable
  10  a flow run failed, or its rows did not arrive
  130, 143  ended at once by a second SIGINT, SIGTERM

Data goes to stdout; logs, progress and errors go to stderr. With --json a verb prints one
document with a schema_version, also when it fails.
"""


def _context() -> dict[str, object]:
    return {"help_option_names": ["-h", "--help"], "max_content_width": 100}


app = typer.Typer(
    name="flowledger",
    cls=Verbs,
    help="Provision an Adobe Experience Platform dataflow from one spec file.\n\n"
    "Every intent and every answer goes to a journal first: a run that was killed anywhere carries on "
    "and ends with exactly one of everything.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,  # typer's takes an import of its own at each start
    rich_markup_mode=None,  # plain help: rich costs more than the 300 ms that --help may take
    pretty_exceptions_enable=False,
    context_settings=_context(),
)


def _version(wanted: bool) -> None:
    if wanted:
        import flowledger

        print(f"flowledger {flowledger.__version__}")
        raise typer.Exit


@app.callback()
def flowledger_command(
    ctx: typer.Context,
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            metavar="NAME",
            help="Take settings from this profile (or FLOWLEDGER_PROFILE).",
        ),
    ] = None,
    version: Annotated[  # noqa: ARG001 - its callback does it all
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Provision an Adobe Experience Platform dataflow from one spec file."""
    code = guarded(lambda: _use_profile(ctx, profile), debug=False, as_json=False)
    if code:
        raise typer.Exit(code)


def _use_profile(ctx: typer.Context, name: str | None) -> None:
    """Put the profile's settings where the verb looks for them, for as long as the verb runs."""
    import os

    from flowledger.cli.hints import with_profile
    from flowledger.cli.logs import warn
    from flowledger.cli.settings import current_folder, profile_of, put_into

    before = dict(os.environ)
    ctx.obj = {"environ": before, "profile": name}
    with_profile(name)
    profile = profile_of(before, current_folder(), name, warn=warn)
    if profile is not None:
        put_into(os.environ, profile)

    def put_back() -> None:
        for variable in os.environ.keys() - before.keys():
            del os.environ[variable]

    ctx.call_on_close(put_back)


specs.register(app)
provision.register(app)
look.register(app)
watch.register(app)
read.register(app)
drift.register(app)
destroy.register(app)
doctor.register(app)
app.add_typer(journal.app, name="journal", short_help="Query, verify, count, prune, save a journal.")
app.add_typer(config.app, name="config", short_help="Show which settings hold.")
app.add_typer(emulator.app, name="emulator", short_help="A local platform: start it, ask it, trouble it.")
demo.register(app)
schema.register(app)
completion.register(app)
