"""The engine: one implementation of encryption and one of decryption, without I/O.

Bytes, streams, files and whatever comes later are drivers over it.
"""
