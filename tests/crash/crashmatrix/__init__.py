"""The crash matrix: where a process can die, what can become of a call, and what must hold afterwards."""
