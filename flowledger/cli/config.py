"""The verb that shows which settings hold, and where each comes from: config show."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from flowledger.cli.command import JsonOption, command

app = typer.Typer(
    help="Show which settings hold.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def show(
    ctx: typer.Context,
    origin: Annotated[bool, typer.Option("--origin", help="Say beside each setting where it comes from.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Show every setting as it holds for the next verb. Secrets are never shown, only whether there is one.

    A flag outranks the environment, which outranks the profile, which outranks the defaults.
    """
    from flowledger.cli.settings import current_folder, profile_of, settings_of
    from flowledger.cli.show import place, print_json, print_lines, table

    before: dict[str, str] = (ctx.obj or {}).get("environ", dict(os.environ))
    profile = profile_of(before, current_folder(), (ctx.obj or {}).get("profile"))
    settings = settings_of(before, profile)

    def shortened(text: str) -> str:
        return text.replace(str(profile.file), place(profile.file)) if profile else text

    if as_json:
        print_json(
            {
                "schema_version": 1,
                "profile": profile.name if profile else None,
                "file": str(profile.file) if profile else None,
                "settings": [
                    {
                        "setting": setting.key,
                        "variable": setting.variable,
                        "value": setting.value,
                        "origin": setting.origin,
                    }
                    for setting in settings
                ],
            }
        )
        return 0
    print_lines([f"Profile: {profile.name} ({place(profile.file)})" if profile else "No profile."])
    rows = [
        (setting.key, setting.value or "(not set)", *([shortened(setting.origin) or "-"] if origin else []))
        for setting in settings
    ]
    print_lines(table(rows))
    return 0


command(
    app,
    "show",
    summary="Show which settings hold, and where each comes from.",
    example="flowledger config show --origin\nflowledger --profile dev config show --json",
    exit_codes="0 shown, 2 the file of profiles cannot be used.",
    notes="Profiles are tables of flowledger/config.toml in the user's configuration, else of flowledger.toml in this "
    "folder (read only when a profile is named); FLOWLEDGER_CONFIG names another file.",
)(show)
