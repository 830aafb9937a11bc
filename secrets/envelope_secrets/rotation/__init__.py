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
    from envelope_secrets.rotation.database import (
        Database,
        DatabaseCredentials,
        DatabaseSession,
        KeepsTwoPasswords,
        SavesAccounts,
    )
    from envelope_secrets.rotation.deadline import Deadline
    from envelope_secrets.rotation.diagnosis import RotationAction, RotationDiagnosis
    from envelope_secrets.rotation.dual_password import DualPassword
    from envelope_secrets.rotation.elasticache_user import ElastiCacheUser
    from envelope_secrets.rotation.failures import (
        AccountLocked,
        LoginRefused,
        OutOfTime,
        PasswordExpired,
        PasswordRefused,
        PrivilegeMissing,
        RotationRefused,
        TargetError,
        TargetUnreachable,
        TlsFailed,
    )
    from envelope_secrets.rotation.handler import rotation_handler
    from envelope_secrets.rotation.hosts import EqualHosts, HostAliases, HostCheck
    from envelope_secrets.rotation.http_issuer import HttpIssuer
    from envelope_secrets.rotation.iam_access_key import IamAccessKey
    from envelope_secrets.rotation.in_process import RotationResult, StepProgress, rotate
    from envelope_secrets.rotation.json_web_keys import jwks
    from envelope_secrets.rotation.mariadb import MariaDb
    from envelope_secrets.rotation.mongodb import MongoDb
    from envelope_secrets.rotation.mysql import MySql
    from envelope_secrets.rotation.oauth_client import ClientSecretIssuer, OAuthClient
    from envelope_secrets.rotation.password_policies import PasswordPolicies
    from envelope_secrets.rotation.postgresql import PostgreSql
    from envelope_secrets.rotation.rds_hosts import RdsHosts
    from envelope_secrets.rotation.redis import Redis
    from envelope_secrets.rotation.repairing import RotationRepair, repair_rotation
    from envelope_secrets.rotation.rotator import NewValue, Rotation, Rotator
    from envelope_secrets.rotation.signing_key import SigningKey, key_id_of, private_key_of, sign, verify_signature
    from envelope_secrets.rotation.single_user import SingleUser
    from envelope_secrets.rotation.status import rotation_status
    from envelope_secrets.rotation.strategy import Strategy
    from envelope_secrets.rotation.tls import RDS_CERTIFICATES, Tls
    from envelope_secrets.rotation.two_keys import ListedKey, NewKey
else:
    # Imported when they are first asked for: a rotation function starts cold, and pays for its own target alone.
    _MODULES = {
        "AccountLocked": "failures",
        "AlternatingUsers": "alternating_users",
        "ApiKey": "api_key",
        "ApiKeyService": "api_key",
        "ClientSecretIssuer": "oauth_client",
        "Database": "database",
        "DatabaseCredentials": "database",
        "DatabaseSession": "database",
        "Deadline": "deadline",
        "DualPassword": "dual_password",
        "ElastiCacheUser": "elasticache_user",
        "EqualHosts": "hosts",
        "HostAliases": "hosts",
        "HostCheck": "hosts",
        "HttpIssuer": "http_issuer",
        "IamAccessKey": "iam_access_key",
        "KeepsTwoPasswords": "database",
        "ListedKey": "two_keys",
        "LoginRefused": "failures",
        "MariaDb": "mariadb",
        "MongoDb": "mongodb",
        "MySql": "mysql",
        "NewKey": "two_keys",
        "NewValue": "rotator",
        "OAuthClient": "oauth_client",
        "OutOfTime": "failures",
        "PasswordPolicies": "password_policies",
        "PasswordExpired": "failures",
        "PasswordRefused": "failures",
        "PostgreSql": "postgresql",
        "PrivilegeMissing": "failures",
        "RDS_CERTIFICATES": "tls",
        "RdsHosts": "rds_hosts",
        "Redis": "redis",
        "Rotation": "rotator",
        "RotationAction": "diagnosis",
        "RotationDiagnosis": "diagnosis",
        "RotationRefused": "failures",
        "RotationRepair": "repairing",
        "RotationResult": "in_process",
        "Rotator": "rotator",
        "SavesAccounts": "database",
        "SigningKey": "signing_key",
        "SingleUser": "single_user",
        "StepProgress": "in_process",
        "Strategy": "strategy",
        "TargetError": "failures",
        "TargetUnreachable": "failures",
        "Tls": "tls",
        "TlsFailed": "failures",
        "jwks": "json_web_keys",
        "key_id_of": "signing_key",
        "parse_credentials": "credentials",
        "private_key_of": "signing_key",
        "repair_rotation": "repairing",
        "rotate": "in_process",
        "rotation_handler": "handler",
        "rotation_status": "status",
        "sign": "signing_key",
        "verify_signature": "signing_key",
    }

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module 'envelope_secrets.rotation' has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f"envelope_secrets.rotation.{_MODULES[name]}"), name)
        return value

    def __dir__() -> list[str]:
        return sorted(__all__)


__all__ = [
    "RDS_CERTIFICATES",
    "AccountLocked",
    "AlternatingUsers",
    "ApiKey",
    "ApiKeyService",
    "ClientSecretIssuer",
    "Database",
    "DatabaseCredentials",
    "DatabaseSession",
    "Deadline",
    "DualPassword",
    "ElastiCacheUser",
    "EqualHosts",
    "HostAliases",
    "HostCheck",
    "HttpIssuer",
    "IamAccessKey",
    "KeepsTwoPasswords",
    "ListedKey",
    "LoginRefused",
    "MariaDb",
    "MongoDb",
    "MySql",
    "NewKey",
    "NewValue",
    "OAuthClient",
    "OutOfTime",
    "PasswordExpired",
    "PasswordPolicies",
    "PasswordRefused",
    "PostgreSql",
    "PrivilegeMissing",
    "RdsHosts",
    "Redis",
    "Rotation",
    "RotationAction",
    "RotationDiagnosis",
    "RotationRefused",
    "RotationRepair",
    "RotationResult",
    "Rotator",
    "SavesAccounts",
    "SigningKey",
    "SingleUser",
    "StepProgress",
    "Strategy",
    "TargetError",
    "TargetUnreachable",
    "Tls",
    "TlsFailed",
    "jwks",
    "key_id_of",
    "parse_credentials",
    "private_key_of",
    "repair_rotation",
    "rotate",
    "rotation_handler",
    "rotation_status",
    "sign",
    "verify_signature",
]
