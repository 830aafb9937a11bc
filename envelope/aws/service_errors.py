"""Every failure of a call to AWS becomes one of our errors, with a hint that says what to do. Two tables.

Error codes come from the service; where no answer came, the name of botocore's exception takes their place. Nothing of
a service's message is shown but what was recognised in it: a message can quote the request.

Source: AWS KMS API reference, errors of Decrypt, Encrypt, GenerateDataKey, DescribeKey and common errors; AWS Secrets
Manager and Systems Manager API references; botocore.exceptions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from envelope.aws.denials import denial_hint
from envelope.aws.service_refusal import ServiceRefusal
from envelope.errors import AwsAccessDenied, AwsError, AwsMisconfigured, AwsUnavailable, EnvelopeError

__all__ = ["error_of", "translated"]


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a code means and what to do. ``{operation}`` and ``{resource}`` are filled into the hint.

    Attributes:
        hint_elsewhere: what to do about another service than KMS, if that is something else.
    """

    kind: type[AwsError]
    what: str
    hint: str
    hint_elsewhere: str = ""


def _wrong_state(what: str, hint: str) -> Meaning:
    return Meaning(AwsError, what, hint)


def _misconfigured(what: str, hint: str) -> Meaning:
    return Meaning(AwsMisconfigured, what, hint)


def _unavailable(what: str, hint: str = "try again later") -> Meaning:
    return Meaning(AwsUnavailable, what, hint)


_DENIED = Meaning(
    AwsAccessDenied,
    "access denied",
    "allow {operation} on {resource} in an IAM policy of the caller and, from another account, in the key policy too; "
    "a condition on the encryption context or an endpoint policy can also forbid it",
    "allow {operation} on {resource} in an IAM policy of the caller and, from another account, in the resource policy "
    "too; an endpoint policy or an organization's policy can also forbid it",
)
_THROTTLED = Meaning(
    AwsUnavailable,
    "throttled",
    "try again later; if it goes on, use a data-key cache or ask for a higher request quota",
    "try again later; if it goes on, ask less often, in batches, through a cache, or for a higher request quota",
)
_INTERNAL = _unavailable("an error inside the service")
_EXPIRED = _misconfigured("the credentials have expired", "renew them: log in again, or let the session refresh them")
_UNKNOWN_CREDENTIALS = _misconfigured(
    "the credentials are not known to AWS", "check the access key and the session token; AWS_PROFILE names a profile"
)
_BAD_SIGNATURE = _misconfigured(
    "the signature of the request is not valid",
    "check the secret access key, the clock of this machine and the region of the endpoint",
)
_WRONG_CLOCK = _misconfigured("the request is out of date", "set the clock of this machine: AWS allows 5 minutes")
_INVALID_REQUEST = Meaning(
    AwsError,
    "the service does not take the request",
    "check the key ARN, the size of the encryption context and that no value of it is empty",
    "check names, sizes and formats against the limits of the service",
)

CODES: Mapping[str, Meaning] = {
    # who may do what
    "AccessDenied": _DENIED,
    "AccessDeniedException": _DENIED,
    "NotAuthorized": _DENIED,
    "UnauthorizedOperation": _DENIED,
    # the key
    "DisabledException": _wrong_state("the key is disabled", "enable {resource}, or use another key"),
    "KMSInvalidStateException": _wrong_state(
        "the key is in a state that does not allow it",
        "{resource} is pending deletion, import or creation, or unavailable: cancel the deletion, import its key "
        "material, or use another key",
    ),
    "NotFoundException": _wrong_state(
        "there is no such key", "check region, account and id of {resource}; a deleted key cannot be brought back"
    ),
    "InvalidArnException": _wrong_state("the ARN is not valid", "check {resource}"),
    "InvalidKeyUsageException": _wrong_state(
        "the key is of another kind", "{resource} must be a symmetric key with the usage ENCRYPT_DECRYPT"
    ),
    "IncorrectKeyException": _wrong_state(
        "the data key was wrapped under another key",
        "the message names {resource}, but its data key was wrapped elsewhere: somebody changed the message",
    ),
    "InvalidCiphertextException": _wrong_state(
        "the wrapped data key does not open",
        "usually the encryption context is not the one it was wrapped with: give the pairs that the message does not "
        "store; otherwise its bytes were changed",
    ),
    "InvalidGrantTokenException": _wrong_state(
        "a grant token is not valid", "leave out grant_tokens: they are only needed in the first minutes of a grant"
    ),
    "KeyUnavailableException": _unavailable("the key is not available"),
    "UnsupportedOperationException": _wrong_state("the key or the region does not support it", "use another key"),
    "KMSInvalidMacException": _wrong_state("the MAC does not fit", "somebody changed it, or the key is another one"),
    "KMSInvalidSignatureException": _wrong_state(
        "the signature does not fit", "somebody changed it, or the key is another one"
    ),
    "DryRunOperationException": _wrong_state("it was a dry run, and would have succeeded", "leave out DryRun"),
    "ValidationException": _INVALID_REQUEST,
    "ValidationError": _INVALID_REQUEST,
    "SerializationException": _INVALID_REQUEST,
    # Secrets Manager, Systems Manager
    **dict.fromkeys(
        ("InvalidNextTokenException", "InvalidNextToken"),
        _wrong_state("the list changed while its pages were read", "read it again from the beginning"),
    ),
    "TooManyUpdates": _unavailable("somebody else changes it at this moment"),
    # quotas, and failures of the service
    **dict.fromkeys(
        (
            "LimitExceededException",
            "RequestLimitExceeded",
            "RequestThrottled",
            "RequestThrottledException",
            "SlowDown",
            "Throttling",
            "ThrottlingException",
            "ThrottledException",
            "TooManyRequestsException",
        ),
        _THROTTLED,
    ),
    **dict.fromkeys(
        (
            "InternalError",
            "InternalFailure",
            "InternalServerError",
            "InternalServiceError",
            "KMSInternalException",
            "ServiceUnavailable",
            "ServiceUnavailableException",
        ),
        _INTERNAL,
    ),
    "DependencyTimeoutException": _unavailable("the service timed out inside"),
    "RequestTimeout": _unavailable("the service waited too long for the request"),
    "RequestTimeoutException": _unavailable("the service waited too long for the request"),
    # credentials
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "UnrecognizedClientException": _UNKNOWN_CREDENTIALS,
    "InvalidClientTokenId": _UNKNOWN_CREDENTIALS,
    "InvalidAccessKeyId": _UNKNOWN_CREDENTIALS,
    "MissingAuthenticationToken": _misconfigured("the request is not signed", "configure credentials"),
    "MissingAuthenticationTokenException": _misconfigured("the request is not signed", "configure credentials"),
    "InvalidSignatureException": _BAD_SIGNATURE,
    "SignatureDoesNotMatch": _BAD_SIGNATURE,
    "IncompleteSignature": _BAD_SIGNATURE,
    "IncompleteSignatureException": _BAD_SIGNATURE,
    "RequestExpired": _WRONG_CLOCK,
    "OptInRequired": _misconfigured(
        "the account does not use this service or region", "enable the region for the account, or use another one"
    ),
}
"""Error codes of answers."""

_NO_CREDENTIALS = _misconfigured(
    "there are no credentials", "set AWS_PROFILE, log in, or give the process a role: AWS looks where it always looks"
)
_LOGIN_AGAIN = _misconfigured("the login has expired or is not there", "log in again: aws sso login, or aws login")
_NO_REGION = _misconfigured("no region is known", "give Aws(region=...), or set AWS_DEFAULT_REGION")
_WRONG_CONFIGURATION = _misconfigured(
    "the AWS configuration does not hold together",
    "check the profile, AWS_CONFIG_FILE and the AWS variables of the environment",
)
_NO_CONNECTION = _unavailable(
    "the endpoint is not reachable",
    "check the network, name resolution and the endpoint (FIPS ones are not everywhere), then try again",
)

EXCEPTIONS: Mapping[str, Meaning] = {
    "NoCredentialsError": _NO_CREDENTIALS,
    "PartialCredentialsError": _misconfigured(
        "the credentials are incomplete", "give access key id and secret access key together"
    ),
    "CredentialRetrievalError": _misconfigured(
        "credentials could not be fetched", "check the source of credentials that the profile or the platform names"
    ),
    "MetadataRetrievalError": _unavailable("the metadata service gave no credentials"),
    "RefreshWithMFAUnsupportedError": _LOGIN_AGAIN,
    "NoAuthTokenError": _LOGIN_AGAIN,
    "TokenRetrievalError": _LOGIN_AGAIN,
    "SSOError": _LOGIN_AGAIN,
    "LoginError": _LOGIN_AGAIN,
    "ProfileNotFound": _misconfigured("the profile does not exist", "check AWS_PROFILE and the profiles in ~/.aws"),
    "ConfigParseError": _WRONG_CONFIGURATION,
    "ConfigNotFound": _WRONG_CONFIGURATION,
    "InvalidConfigError": _misconfigured(
        "the AWS configuration is not valid",
        "check the profile and the AWS variables; AWS_CA_BUNDLE and REQUESTS_CA_BUNDLE must name a file, or be unset",
    ),
    "InvalidRetryConfigurationError": _misconfigured(
        "the retries are not valid", "check AWS_MAX_ATTEMPTS, and max_attempts in the profile: 1 tries once"
    ),
    "InvalidSTSRegionalEndpointsConfigError": _misconfigured(
        "the setting of the STS endpoints is not valid",
        "check AWS_STS_REGIONAL_ENDPOINTS, and sts_regional_endpoints in the profile: regional, legacy, or not set",
    ),
    "InvalidChecksumConfigError": _misconfigured(
        "the setting of the checksums is not valid",
        "check AWS_REQUEST_CHECKSUM_CALCULATION and AWS_RESPONSE_CHECKSUM_VALIDATION, and their like in the profile: "
        "when_supported, when_required, or not set",
    ),
    "InvalidProxiesConfigError": _WRONG_CONFIGURATION,
    "InvalidDefaultsMode": _misconfigured(
        "the mode of defaults is not valid", "check AWS_DEFAULTS_MODE, and defaults_mode in the profile"
    ),
    "UnknownSignatureVersionError": _WRONG_CONFIGURATION,
    "MissingDependencyException": _misconfigured("botocore lacks a library", "pip install 'botocore[crt]'"),
    "NoRegionError": _NO_REGION,
    "InvalidRegionError": _misconfigured(
        "the region has no valid name", "check the key ARN, region= and AWS_DEFAULT_REGION"
    ),
    "UnknownRegionError": _misconfigured(
        "the region is not known", "check the key ARN, region= and AWS_DEFAULT_REGION"
    ),
    "BaseEndpointResolverError": _misconfigured(
        "there is no endpoint for this region",
        "check the region; FIPS and dual-stack endpoints do not exist everywhere",
    ),
    "EndpointProviderError": _misconfigured(
        "there is no endpoint for this configuration",
        "check region, endpoint URL, FIPS and dual-stack settings",
    ),
    "InvalidEndpointConfigurationError": _WRONG_CONFIGURATION,
    "SSLError": _misconfigured(
        "TLS failed",
        "the certificate of the endpoint is not trusted here: check AWS_CA_BUNDLE and proxies; leave verification on",
    ),
    "ProxyConnectionError": _misconfigured("the proxy does not answer", "check HTTPS_PROXY and NO_PROXY"),
    "ConnectTimeoutError": _unavailable("connecting timed out", _NO_CONNECTION.hint),
    "EndpointConnectionError": _NO_CONNECTION,
    "ConnectionError": _NO_CONNECTION,
    "CallTimeoutError": _unavailable("no answer in time", "try again; Aws(call_timeout_s=...) waits longer"),
    "TooManyCallsError": _unavailable("too many calls have no answer yet", _NO_CONNECTION.hint),
    "ReadTimeoutError": _unavailable("no answer in time", "try again; Aws(read_timeout_s=...) waits longer"),
    "ConnectionClosedError": _unavailable("the connection was closed before an answer came"),
    "IncompleteReadError": _unavailable("the answer was cut"),
    "HTTPClientError": _unavailable("the connection failed"),
    "EventStreamError": _unavailable("the answer broke off"),
    "CapacityNotAvailableError": _THROTTLED,
    "ParamValidationError": Meaning(
        AwsError,
        "botocore does not take the arguments",
        "check the key ARN; otherwise please report this as a bug",
        "check names, sizes and types; otherwise please report this as a bug",
    ),
}
"""Exceptions of botocore where no answer came, by the name of the class or of one of its bases.

Two of them are made in `envelope.aws.call_limit`."""

_UNKNOWN = _wrong_state("the call failed", "look up the error code")
_NOT_AN_ANSWER = _wrong_state("the call failed in an unforeseen way", "please report this as a bug")

# An exception of these quotes the request in its text, with keys and values of the encryption context.
_QUOTES_THE_REQUEST = frozenset({"ParamValidationError", "ValidationError"})

# The texts that KMS gives with these codes are about the key or the service. Those of others may quote the request:
# validation its parameters, a signature that does not fit its headers with the session token, a denial what was asked.
_QUOTES_NO_REQUEST = frozenset(
    {
        "DependencyTimeoutException",
        "DisabledException",
        "IncorrectKeyException",
        "InvalidCiphertextException",
        "InvalidKeyUsageException",
        "KMSInternalException",
        "KMSInvalidStateException",
        "KeyUnavailableException",
        "NotFoundException",
        "ThrottlingException",
    }
)

_TOKEN = re.compile(r"[A-Za-z0-9_.:-]{1,100}")


def translated(
    error: Exception,
    *,
    operation: str,
    resource: str,
    refused: Callable[[ServiceRefusal], EnvelopeError | None] | None = None,
) -> tuple[EnvelopeError, Exception | None]:
    """Our error for one of botocore's, and the exception to chain: None if its text could show a key or a value.

    Args:
        refused: is asked first what a service's answer means.
    """
    names = [cls.__name__ for cls in type(error).__mro__]
    response = getattr(error, "response", None)
    if "ClientError" in names and isinstance(response, Mapping):
        refusal = _refusal_in(response)
        own = None if refused is None else refused(refusal)
        if own is not None:
            return own, None
        failure = error_of(refusal, operation=operation, resource=resource)
        is_safe = operation.startswith("kms:") and refusal.code in _QUOTES_NO_REQUEST
        return failure, error if is_safe else None
    meaning = next((EXCEPTIONS[name] for name in names if name in EXCEPTIONS), None)
    if meaning is None:
        meaning = _UNKNOWN if "BotoCoreError" in names else _NOT_AN_ANSWER
    failure = _failure(meaning, "", operation, resource, code=names[0], request_id="")
    is_safe = "BotoCoreError" in names and not _QUOTES_THE_REQUEST.intersection(names)
    return failure, error if is_safe else None


def error_of(refusal: ServiceRefusal, *, operation: str, resource: str) -> AwsError:
    """Our error for what a service answered, be it to a call or to a part of one."""
    meaning = CODES.get(refusal.code) or _by_status(refusal.http_status)
    hint = denial_hint(operation, resource, refusal.message) if meaning is _DENIED else ""
    return _failure(meaning, hint, operation, resource, code=refusal.code, request_id=refusal.request_id)


def _refusal_in(response: Mapping[str, Any]) -> ServiceRefusal:
    details, metadata = response.get("Error") or {}, response.get("ResponseMetadata") or {}
    return ServiceRefusal(
        _token(details.get("Code")),
        str(details.get("Message", "")),
        _token(metadata.get("RequestId")),
        metadata.get("HTTPStatusCode"),
    )


def _failure(meaning: Meaning, hint: str, operation: str, resource: str, *, code: str, request_id: str) -> AwsError:
    origin = ", ".join(filter(None, [code, f"request id {request_id}" if request_id else ""]))
    where = f" on {resource}" if resource else ""
    elsewhere = "" if operation.startswith("kms:") else meaning.hint_elsewhere
    hint = hint or elsewhere or meaning.hint
    return meaning.kind(
        f"{operation}{where} failed: {meaning.what}" + (f" ({origin})" if origin else ""),
        operation=operation,
        code=code,
        request_id=request_id,
        hint=hint.replace("{operation}", operation).replace("{resource}", resource or "the resource"),
        can_retry=meaning.kind is AwsUnavailable,
    )


def _by_status(status: object) -> Meaning:
    """What an answer without a known code means."""
    if status == 429:
        return _THROTTLED
    if status in (401, 403):
        return _DENIED
    return _INTERNAL if isinstance(status, int) and status >= 500 else _UNKNOWN


def _token(value: object) -> str:
    """A code or request id as far as it is one; a server of anybody's may have written it."""
    return value if isinstance(value, str) and _TOKEN.fullmatch(value) else ""
