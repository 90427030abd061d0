"""The commented spec to begin with, as `flowledger init KIND` writes it: it works as it is on the emulator."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from flowledger.engine.specfault import nearest, one_of
from flowledger.engine.table import TABLES
from flowledger.errors import UsageError

SECRET_MODE: Final = 0o600
SPEC_MODE: Final = 0o644
PLACEHOLDER: Final = "replace-me-with-the-client-secret-of-your-paypal-app"

_COMMENTS_AT: Final = 41  # the column in which the starter's comments begin

_SETTLE_ADOBE: Final = """\
settle: 90s"""
_SETTLE_EMULATOR: Final = """\
settle: 1s                               # right for the emulator only: against Adobe leave it out (90s)"""

_PAYPAL: Final = """\
# One dataflow: rows of a PayPal table into a dataset of Adobe Experience Platform, on a schedule.
#
#   flowledger validate FILE             is this file right? (offline)
#   flowledger plan FILE                 which calls would be made?
#   flowledger apply FILE                make them; type it again after a crash, nothing is made twice
#   flowledger apply FILE --local        the same against an emulator on this machine
#
# It works as it is on the emulator. For your own PayPal account change `clientId` and the secret, and `host`.
# Every key is described in docs/spec.md. Which platform, organisation and sandbox: the FLOWLEDGER_* environment.

name: paypal-products                    # the run's name: a-z, 0-9 and '-'; `flowledger status paypal-products`
{style}# tutorial: the calls of Adobe's tutorial; current: those of its guides now

source:
  kind: paypal
  connection:
    # A base connection is created from these parameters. To use one that exists write its id instead of all this:
    #   id: 24151d58-ffa7-4960-951d-58ffa7396097
    auth: Client-Id-Secret Based Authentication     # may be left out: it is the only way at PayPal
    params:
      host: api.sandbox.paypal.com       # PayPal's test host, and the default; api.paypal.com is the real one
      clientId: my-paypal-client-id      # of your PayPal app; not a secret
      # The secret never stands in this file, only where it is to be found:
      #   clientSecret: {env: PAYPAL_CLIENT_SECRET}              an environment variable
      #   clientSecret: {command: [pass, show, paypal/client]}   what a command prints
      #   clientSecret: {file: PATH}                             a file; relative paths count from this file's folder
      clientSecret: {file: secrets/paypal-client-secret}       # holds a made-up value: replace it with yours
  table: PayPal.Catalog_Products         # as PayPal's connector names it
  delta:                                 # how new rows are told from old ones
    column: Create_Time                  # must be a date-time column of the table
    date_format: yyyy-MM-dd HH:mm:ss     # the default, and right for PayPal
    timezone: UTC                        # nothing else is possible

target:
  class: https://ns.adobe.com/xdm/context/profile                # the default: XDM Individual Profile
  field_groups:                          # ids, or the last part of the id for those that flowledger knows
    - https://ns.adobe.com/xdm/context/profile-person-details    # person.name.firstName, ...
    - https://ns.adobe.com/xdm/context/profile-personal-details  # personalEmail.address, mobilePhone.number, ...
  fields:                                # own fields, which get a field group of their own; without tenant prefix
    product:                             # types: string, date, date-time, integer, long, number, boolean
      name: string
      description: string
      type: string
  dataset:                               # for people; what is left out follows from the run's name
    title: PayPal products
    description: Products of the PayPal catalogue

mappings:                                # one column to one field each
  - {source: Product_Id, to: _id}
  - {source: Product_Name, to: product.name}
  - {source: Description, to: product.description}
  - {source: Type, to: product.type}

schedule:
  frequency: minute                      # minute, hour, day, week, or once (then without interval, backfill and delta)
  interval: 30                           # every 30 minutes; 15 is the least for `minute`
  start: +10m                            # from when the dataflow is created; or 2030-01-01T00:00:00Z, or epoch seconds
  backfill: true                         # the first run takes all rows that are there; false: only newer ones

# How patient a run is. These are the defaults; what is not done in time is left to `flowledger resume`.
retry:
  attempts: 6                            # sends of one step, the first included
  deadline: 15m                          # for one sitting of the run
  first_wait: 500ms                      # doubles at each attempt, with some chance in it
  longest_wait: 60s
  timeout: 70s                           # one call

# How long a call without an answer may still take to show in the platform's lists. Only then is it sent again.
# 90 seconds are right for Adobe (a shorter time could make an object twice), 1s for the emulator.
{settle}
"""

STARTERS: Final[dict[str, str]] = {"paypal": _PAYPAL}
DEFAULT_FILE: Final[dict[str, str]] = {"paypal": "paypal-products.yaml"}


def starter(
    kind: str, folder: Path, *, file: str = "", emulator: bool = False, style: str = "tutorial"
) -> dict[str, tuple[str, int]]:
    """The files to write for a source kind: path relative to `folder` to (text, file mode), the spec first.

    `file` is the spec's name in the folder (default: by kind). `emulator`: with the settle window of the emulator,
    as in examples/. `style`: the spec's style. A secret file that exists in `folder` already is not among the files:
    it may hold a real secret.
    Raises UsageError for a kind that there is no starter for, or a style that there is not.
    """
    if kind not in STARTERS:
        near = nearest(kind, tuple(STARTERS))
        raise UsageError(
            f"there is no starter for a source of kind {kind!r}: the kinds are {one_of(STARTERS)}",
            hint=f"flowledger init {near or next(iter(STARTERS))}",
        )
    if style not in TABLES:
        raise UsageError(f"there is no style {style!r}: it is one of {one_of(TABLES)}", hint="--style current, say")
    text = STARTERS[kind].replace("{settle}", _SETTLE_EMULATOR if emulator else _SETTLE_ADOBE)
    text = text.replace("{style}", f"style: {style}".ljust(_COMMENTS_AT))
    name = file or DEFAULT_FILE[kind]
    files = {name: (text.replace("FILE", name), SPEC_MODE)}
    secret = "secrets/paypal-client-secret"  # noqa: S105 - a path
    if not (folder / secret).exists():
        files[secret] = (PLACEHOLDER + "\n", SECRET_MODE)
    return files
