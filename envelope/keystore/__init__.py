"""The local keystore: wrapping keys in one file, for development, tests, single machines and backups."""
