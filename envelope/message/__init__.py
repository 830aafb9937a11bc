"""The AWS Encryption SDK message format: bytes to values and back. No keys, no I/O.

A message is ``header body | header auth | frames | footer``; all integers are big-endian and unsigned.

Source: AWS Encryption SDK specification, data-format/message.md.
"""
