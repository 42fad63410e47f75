"""The command line: one file a command, each loading what it needs when it runs."""
