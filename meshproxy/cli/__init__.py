"""The command line: a file a command, and no logic in any of them."""
