"""What `envelope_secrets.rotation` offers, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from envelope_secrets import rotation


def test_every_public_name_is_there() -> None:
    assert set(rotation.__all__) <= set(dir(rotation))
    assert all(getattr(rotation, name) is not None for name in rotation.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'Oracle'"):
        getattr(rotation, "Oracle".strip())


def test_a_rotation_function_loads_no_driver_and_no_boto3_before_its_first_event() -> None:
    code = """
import sys
from envelope_secrets.rotation import AlternatingUsers, PostgreSql, rotation_handler
rotation_handler(PostgreSql(), AlternatingUsers())
loaded = {"boto3", "botocore", "psycopg", "pymysql", "redis", "sqlite3", "asyncio"} & sys.modules.keys()
assert not loaded, loaded
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
