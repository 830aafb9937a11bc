"""Keyrings: each file is one way to wrap a data key. `protocol.py` says what a keyring is."""
