"""The command line: one file a command; it sees everything and nothing sees it."""
