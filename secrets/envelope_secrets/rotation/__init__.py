"""Rotation of secrets: the four steps, the strategies, and the targets whose passwords and keys they change.

    handler = rotation_handler(PostgreSql(), SingleUser())            the entry point of a Lambda function
    rotate(store, "prod/db", PostgreSql(), SingleUser())              the same four steps, in this process

A rotator of your own is four methods: see `Rotator`. Drivers are imported by the first connection.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from envelope_secrets.rotation.alternating_users import AlternatingUsers
    from envelope_secrets.rotation.api_key import ApiKey, ApiKeyService
    from envelope_secrets.rotation.credentials import parse_credentials
    from envelope_secrets.rotation.database import Database, DatabaseCredentials, DatabaseSession, KeepsTwoPasswords
    from envelope_secrets.rotation.deadline import Deadline
    from envelope_secrets.rotation.dual_password import DualPassword
    from envelope_secrets.rotation.failures import (
        AccountLocked,
        LoginRefused,
        OutOfTime,
        PasswordRefused,
        PrivilegeMissing,
        RotationRefused,
        TargetError,
        TargetUnreachable,
        TlsFailed,
    )
    from envelope_secrets.rotation.handler import rotation_handler
    from envelope_secrets.rotation.hosts import EqualHosts, HostAliases, HostCheck
    from envelope_secrets.rotation.iam_access_key import IamAccessKey
    from envelope_secrets.rotation.in_process import RotationResult, rotate
    from envelope_secrets.rotation.json_web_keys import jwks
    from envelope_secrets.rotation.mariadb import MariaDb
    from envelope_secrets.rotation.mysql import MySql
    from envelope_secrets.rotation.postgresql import PostgreSql
    from envelope_secrets.rotation.redis import Redis
    from envelope_secrets.rotation.rotator import NewValue, Rotation, Rotator
    from envelope_secrets.rotation.signing_key import SigningKey, key_id_of, private_key_of, sign, verify_signature
    from envelope_secrets.rotation.single_user import SingleUser
    from envelope_secrets.rotation.strategy import Strategy
    from envelope_secrets.rotation.tls import Tls
    from envelope_secrets.rotation.two_keys import ListedKey, NewKey
else:
    # Imported when they are first asked for: a rotation function starts cold, and pays for its own target alone.
    _MODULES = {
        "AccountLocked": "failures",
        "AlternatingUsers": "alternating_users",
        "ApiKey": "api_key",
        "ApiKeyService": "api_key",
        "Database": "database",
        "DatabaseCredentials": "database",
        "DatabaseSession": "database",
        "Deadline": "deadline",
        "DualPassword": "dual_password",
        "EqualHosts": "hosts",
        "HostAliases": "hosts",
        "HostCheck": "hosts",
        "IamAccessKey": "iam_access_key",
        "KeepsTwoPasswords": "database",
        "ListedKey": "two_keys",
        "LoginRefused": "failures",
        "MariaDb": "mariadb",
        "MySql": "mysql",
        "NewKey": "two_keys",
        "NewValue": "rotator",
        "OutOfTime": "failures",
        "PasswordRefused": "failures",
        "PostgreSql": "postgresql",
        "PrivilegeMissing": "failures",
        "Redis": "redis",
        "Rotation": "rotator",
        "RotationRefused": "failures",
        "RotationResult": "in_process",
        "Rotator": "rotator",
        "SigningKey": "signing_key",
        "SingleUser": "single_user",
        "Strategy": "strategy",
        "TargetError": "failures",
        "TargetUnreachable": "failures",
        "Tls": "tls",
        "TlsFailed": "failures",
        "jwks": "json_web_keys",
        "key_id_of": "signing_key",
        "parse_credentials": "credentials",
        "private_key_of": "signing_key",
        "rotate": "in_process",
        "rotation_handler": "handler",
        "sign": "signing_key",
        "verify_signature": "signing_key",
    }

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module 'envelope_secrets.rotation' has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f"envelope_secrets.rotation.{_MODULES[name]}"), name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *_MODULES})


__all__ = [
    "AccountLocked",
    "AlternatingUsers",
    "ApiKey",
    "ApiKeyService",
    "Database",
    "DatabaseCredentials",
    "DatabaseSession",
    "Deadline",
    "DualPassword",
    "EqualHosts",
    "HostAliases",
    "HostCheck",
    "IamAccessKey",
    "KeepsTwoPasswords",
    "ListedKey",
    "LoginRefused",
    "MariaDb",
    "MySql",
    "NewKey",
    "NewValue",
    "OutOfTime",
    "PasswordRefused",
    "PostgreSql",
    "PrivilegeMissing",
    "Redis",
    "Rotation",
    "RotationRefused",
    "RotationResult",
    "Rotator",
    "SigningKey",
    "SingleUser",
    "Strategy",
    "TargetError",
    "TargetUnreachable",
    "Tls",
    "TlsFailed",
    "jwks",
    "key_id_of",
    "parse_credentials",
    "private_key_of",
    "rotate",
    "rotation_handler",
    "sign",
    "verify_signature",
]
