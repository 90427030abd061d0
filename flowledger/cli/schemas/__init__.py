"""The JSON Schema of what each verb prints with --json, a file each; `flowledger.cli.schema` prints them whole."""
