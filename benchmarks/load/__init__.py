"""Clients that go on reading and writing while the password of their database is rotated again and again."""
