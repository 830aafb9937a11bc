"""The secrets that a client holds in memory."""
