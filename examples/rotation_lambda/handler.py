"""The entry point of the rotation function. template.yaml sets the variables; without one of them nothing starts."""

import os

from envelope_secrets import rotation

target = getattr(rotation, os.environ["TARGET"])(tls=os.environ["TLS"], ca_file=os.environ["CA_FILE"] or None)
strategy = getattr(rotation, os.environ["STRATEGY"])()
handler = rotation.rotation_handler(target, strategy)
