"""The command line: thin verbs over the public API; stdout is data, stderr is progress."""
