"""Where transcripts are played: an empty home with a keystore, and KMS on a loopback endpoint."""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path

from envelope import LocalKeystore, ScryptCost
from tests.cli_for_tests import environment
from tests.moto_server import REGIONS, aws_of, moto_url, new_key

__all__ = ["command_environment", "kms_environment", "local_environment"]

PASSPHRASE = "correct horse battery staple"


def command_environment(home: Path) -> dict[str, str]:
    """What a command needs to be found; nothing that the machine or a developer has configured."""
    home.mkdir(exist_ok=True)
    found = environment()
    path = os.pathsep.join([str(Path(sys.executable).parent), os.defpath])
    return {
        "HOME": str(home),
        "PATH": path,
        "PYTHONPATH": found["PYTHONPATH"],
        "PYTHONWARNINGS": "error",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "COLUMNS": "80",
        "AWS_EC2_METADATA_DISABLED": "true",
        "ENVELOPE_KEYSTORE_PASSPHRASE": PASSPHRASE,
    }


def local_environment(home: Path) -> dict[str, str]:
    """`$KEY` and `$OTHER` are keys of a keystore in the default place, which opens fast."""
    found = command_environment(home)
    folder = home / ".local/share/envelope"
    folder.mkdir(parents=True)
    keystore = LocalKeystore.create(folder / "keystore.json", passphrase=PASSPHRASE, scrypt_cost=ScryptCost(2**14))
    keystore.create_key("app")
    keystore.create_key("other")
    return {**found, "KEY": "local:app", "OTHER": "local:other"}


def kms_environment(home: Path) -> dict[str, str]:
    """`$KEY` and `$OTHER` are keys of KMS; `alias/app` is the first one."""
    first, second = _kms_keys()
    return {
        **command_environment(home),
        "AWS_ACCESS_KEY_ID": "AKIDTESTING",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": REGIONS[0],
        "ENVELOPE_ENDPOINT_URL": moto_url(),
        "KEY": f"kms:{first}",
        "OTHER": f"kms:{second}",
    }


@cache
def _kms_keys() -> tuple[str, str]:
    first, second = new_key(), new_key()
    aws_of().client("kms", REGIONS[0]).create_alias(AliasName="alias/app", TargetKeyId=first)
    return first, second
