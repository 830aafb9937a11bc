"""What the service refuses about a request before it looks at any secret.

botocore checks types, required members and lower bounds. The rest is here.

Source: constraints of botocore's model of Secrets Manager.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from envelope_secrets.limits import MAX_BATCH_IDS, MAX_STAGES, tags_problem, value_problem
from envelope_secrets.service_rules.broken import check_parameter
from envelope_secrets.testing.faults import ServiceFault, bad_parameter, bad_request
from envelope_secrets.testing.values import StoredValue

__all__ = ["check_request", "new_value", "page", "region_pairs", "tags_of", "token_of"]

_TEXT_CHARACTERS = {
    "ClientRequestToken": (32, 64),
    "Description": (0, 2_048),
    "ExcludeCharacters": (0, 4_096),
    "KmsKeyId": (0, 2_048),
    "MoveToVersionId": (32, 64),
    "NextToken": (1, 4_096),
    "RemoveFromVersionId": (32, 64),
    "RotationLambdaARN": (0, 2_048),
    "RotationToken": (36, 256),
    "SecretId": (1, 2_048),
    "VersionId": (32, 64),
    "VersionStage": (1, 256),
}
_LISTS = {"Filters": 10, "SecretIdList": MAX_BATCH_IDS, "VersionStages": MAX_STAGES}
MAX_PASSWORD_LENGTH = 4_096
MAX_RESULTS = 100
_REGION = re.compile(r"([a-z]+-)+\d+")
_ROTATION_TOKEN = re.compile(r"[a-zA-Z0-9-]+")
_NOT_HERE = ("CrossAccountPrimaryARN", "ExternalSecretRotationMetadata", "ExternalSecretRotationRoleArn", "Type")


def check_request(operation: str, parameters: Mapping[str, Any]) -> None:
    """Raise InvalidParameterException for whatever is out of its range, or not to be had in the fake.

    Raises:
        ServiceFault: InvalidParameterException.
    """
    for name in _NOT_HERE:
        if name in parameters:
            raise bad_parameter(f"FaultySecretsManager does not have {name}")
    for name, (least, most) in _TEXT_CHARACTERS.items():
        if not least <= len(parameters.get(name, "x" * least)) <= most:
            raise bad_parameter(f"The parameter {name} must have {least:,} to {most:,} characters.")
    _check_counts(operation, parameters)
    if _ROTATION_TOKEN.fullmatch(parameters.get("RotationToken", "x")) is None:
        raise bad_parameter("The parameter RotationToken has characters that no rotation token has.")
    if parameters.get("PolicyName", "default") != "default":
        raise bad_parameter("The only resource policy that can be used is default.")


def _check_counts(operation: str, parameters: Mapping[str, Any]) -> None:
    most_results = MAX_BATCH_IDS if operation == "BatchGetSecretValue" else MAX_RESULTS
    for name, most in (("PasswordLength", MAX_PASSWORD_LENGTH), ("MaxResults", most_results)):
        if not 1 <= parameters.get(name, 1) <= most:
            raise bad_parameter(f"The parameter {name} must be 1 to {most:,}.")
    for name, most in _LISTS.items():
        if not 1 <= len(parameters.get(name, "x")) <= most:
            raise bad_parameter(f"The parameter {name} must have 1 to {most} members.")


def new_value(parameters: Mapping[str, Any], *, is_required: bool) -> StoredValue | None:
    """The value that a request holds, or None.

    Raises:
        ServiceFault: InvalidParameterException: both kinds. InvalidRequestException: none, where one is needed.
        RuleBroken: InvalidParameterException: its size.
    """
    if "SecretString" in parameters and "SecretBinary" in parameters:
        raise bad_parameter(
            "You can't specify both a binary secret value and a string secret value in the same secret."
        )
    if "SecretString" in parameters:
        check_parameter("SecretString", value_problem(parameters["SecretString"]))
        return StoredValue(parameters["SecretString"].encode(), is_text=True)
    if "SecretBinary" in parameters:
        binary = base64.b64decode(parameters["SecretBinary"])
        check_parameter("SecretBinary", value_problem(binary))
        return StoredValue(binary, is_text=False)
    if is_required:
        raise bad_request("You must provide either SecretString or SecretBinary.")
    return None


def token_of(operation: str, parameters: Mapping[str, Any]) -> str:
    """The ClientRequestToken, which botocore adds where the caller gives none.

    Raises:
        ServiceFault: there is none; InvalidParameterException for RotateSecret, InvalidRequestException for others.
    """
    token: str | None = parameters.get("ClientRequestToken")
    if token is None:
        message = "You must provide a ClientRequestToken value. We recommend a UUID-type value."
        raise bad_parameter(message) if operation == "RotateSecret" else bad_request(message)
    return token


def tags_of(parameters: Mapping[str, Any]) -> dict[str, str]:
    """The tags of a request as a mapping.

    Raises:
        ServiceFault, RuleBroken: InvalidParameterException.
    """
    listed = parameters.get("Tags") or []
    tags = {tag.get("Key", ""): tag.get("Value", "") for tag in listed}
    if len(tags) < len(listed):
        raise bad_parameter("The parameter Tags has one key twice.")
    check_parameter("Tags", tags_problem(tags))
    return tags


def region_pairs(parameters: Mapping[str, Any], own: str) -> dict[str, str]:
    """The regions of AddReplicaRegions with their keys.

    Raises:
        ServiceFault: InvalidParameterException: no region, the own one, or one twice.
    """
    listed = parameters.get("AddReplicaRegions") or []
    regions = {pair.get("Region", ""): pair.get("KmsKeyId", "") for pair in listed}
    if len(regions) < len(listed) or not all(map(_REGION.fullmatch, regions)):
        raise bad_parameter("The parameter AddReplicaRegions must name each region once.")
    if own in regions:
        raise bad_parameter("Invalid replica region: it is the region of the primary secret.")
    return regions


def page(call_parameters: Mapping[str, Any], name: str, items: list[Any], size: int = 100) -> dict[str, Any]:
    """One page of a list, and where the next one begins.

    Raises:
        ServiceFault: InvalidNextTokenException.
    """
    marker = call_parameters.get("NextToken", "0")
    if not marker.isdecimal() or int(marker) > len(items):
        raise ServiceFault("InvalidNextTokenException", "Invalid NextToken.")
    end = int(marker) + call_parameters.get("MaxResults", size)
    listed = {name: items[int(marker) : end]}
    return {**listed, "NextToken": str(end)} if end < len(items) else listed
