"""The state machine, the driver that walks it, the spec file, resume."""
