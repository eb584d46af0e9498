"""One module for each command; each has `execute(argv) -> exit code` and is loaded only when it is called."""
