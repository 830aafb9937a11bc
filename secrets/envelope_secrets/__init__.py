"""Secrets with staging labels: read at memory speed through outages and rotations, written and moved without accidents.

    secrets = SecretsClient()                               AWS Secrets Manager; SecretsClient(store) for another store
    password = secrets.get("prod/db").json["password"]

Every exception is an `envelope.EnvelopeError`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from envelope_secrets.aio.client import AsyncSecretsClient
    from envelope_secrets.batch import SecretBatch
    from envelope_secrets.cache.limits import CacheLimits, CacheStats
    from envelope_secrets.client import SecretsClient
    from envelope_secrets.errors import (
        NoSuchField,
        NotSupported,
        SecretConflict,
        SecretDeleted,
        SecretFormatError,
        SecretKeyUnavailable,
        SecretNotFound,
        SecretRefused,
        SecretsError,
        StoreFailed,
    )
    from envelope_secrets.events import SecretChange, SecretEvent
    from envelope_secrets.key_ring import KeyRing
    from envelope_secrets.password import PasswordPolicy, random_password
    from envelope_secrets.policies import ReadAccess
    from envelope_secrets.references import SecretReference
    from envelope_secrets.rotation_control import RotationReport
    from envelope_secrets.stage_operations import Repair, RepairAction
    from envelope_secrets.stages import AWSCURRENT, AWSPENDING, AWSPREVIOUS, Finding, StageMove, StagingLabels
    from envelope_secrets.stores.local import LocalSecretStore
    from envelope_secrets.stores.parameters import ParameterStore
    from envelope_secrets.stores.protocol import (
        HasPolicies,
        HasTrees,
        NewSecret,
        NewVersion,
        PolicyFinding,
        Replica,
        Replicates,
        Rotates,
        RotationStatus,
        SecretDescription,
        SecretStore,
        SecretVersion,
        VersionPlace,
    )
    from envelope_secrets.stores.secrets_manager import SecretsManagerStore
    from envelope_secrets.value import Secret, SecretFields
    from envelope_secrets.watching import Subscription
else:
    # Imported when they are first asked for: a program pays for the store that it uses, and for nothing else.
    _MODULES = {
        "AWSCURRENT": "envelope_secrets.stages",
        "AWSPENDING": "envelope_secrets.stages",
        "AWSPREVIOUS": "envelope_secrets.stages",
        "AsyncSecretsClient": "envelope_secrets.aio.client",
        "CacheLimits": "envelope_secrets.cache.limits",
        "CacheStats": "envelope_secrets.cache.limits",
        "Finding": "envelope_secrets.stages",
        "HasPolicies": "envelope_secrets.stores.protocol",
        "HasTrees": "envelope_secrets.stores.protocol",
        "KeyRing": "envelope_secrets.key_ring",
        "LocalSecretStore": "envelope_secrets.stores.local",
        "NewSecret": "envelope_secrets.stores.protocol",
        "NewVersion": "envelope_secrets.stores.protocol",
        "NoSuchField": "envelope_secrets.errors",
        "NotSupported": "envelope_secrets.errors",
        "ParameterStore": "envelope_secrets.stores.parameters",
        "PasswordPolicy": "envelope_secrets.password",
        "PolicyFinding": "envelope_secrets.stores.protocol",
        "ReadAccess": "envelope_secrets.policies",
        "Repair": "envelope_secrets.stage_operations",
        "RepairAction": "envelope_secrets.stage_operations",
        "Replica": "envelope_secrets.stores.protocol",
        "Replicates": "envelope_secrets.stores.protocol",
        "Rotates": "envelope_secrets.stores.protocol",
        "RotationReport": "envelope_secrets.rotation_control",
        "RotationStatus": "envelope_secrets.stores.protocol",
        "Secret": "envelope_secrets.value",
        "SecretBatch": "envelope_secrets.batch",
        "SecretChange": "envelope_secrets.events",
        "SecretConflict": "envelope_secrets.errors",
        "SecretDeleted": "envelope_secrets.errors",
        "SecretDescription": "envelope_secrets.stores.protocol",
        "SecretEvent": "envelope_secrets.events",
        "SecretFields": "envelope_secrets.value",
        "SecretFormatError": "envelope_secrets.errors",
        "SecretKeyUnavailable": "envelope_secrets.errors",
        "SecretNotFound": "envelope_secrets.errors",
        "SecretReference": "envelope_secrets.references",
        "SecretRefused": "envelope_secrets.errors",
        "SecretStore": "envelope_secrets.stores.protocol",
        "SecretVersion": "envelope_secrets.stores.protocol",
        "SecretsClient": "envelope_secrets.client",
        "SecretsError": "envelope_secrets.errors",
        "SecretsManagerStore": "envelope_secrets.stores.secrets_manager",
        "StageMove": "envelope_secrets.stages",
        "StagingLabels": "envelope_secrets.stages",
        "StoreFailed": "envelope_secrets.errors",
        "Subscription": "envelope_secrets.watching",
        "VersionPlace": "envelope_secrets.stores.protocol",
        "random_password": "envelope_secrets.password",
    }

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module 'envelope_secrets' has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_MODULES[name]), name)
        return value

    def __dir__() -> list[str]:
        return sorted(__all__)


__all__ = [
    "AWSCURRENT",
    "AWSPENDING",
    "AWSPREVIOUS",
    "AsyncSecretsClient",
    "CacheLimits",
    "CacheStats",
    "Finding",
    "HasPolicies",
    "HasTrees",
    "KeyRing",
    "LocalSecretStore",
    "NewSecret",
    "NewVersion",
    "NoSuchField",
    "NotSupported",
    "ParameterStore",
    "PasswordPolicy",
    "PolicyFinding",
    "ReadAccess",
    "Repair",
    "RepairAction",
    "Replica",
    "Replicates",
    "Rotates",
    "RotationReport",
    "RotationStatus",
    "Secret",
    "SecretBatch",
    "SecretChange",
    "SecretConflict",
    "SecretDeleted",
    "SecretDescription",
    "SecretEvent",
    "SecretFields",
    "SecretFormatError",
    "SecretKeyUnavailable",
    "SecretNotFound",
    "SecretReference",
    "SecretRefused",
    "SecretStore",
    "SecretVersion",
    "SecretsClient",
    "SecretsError",
    "SecretsManagerStore",
    "StageMove",
    "StagingLabels",
    "StoreFailed",
    "Subscription",
    "VersionPlace",
    "random_password",
]
