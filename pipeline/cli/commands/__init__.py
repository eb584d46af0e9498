"""The commands: each parses its words, calls a package, and prints."""
