"""Secrets with staging labels that survive their rotation; the client and the handlers come with later releases."""

__all__: list[str] = []
