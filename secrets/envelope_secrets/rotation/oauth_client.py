"""Clients of an OAuth server: two secrets of one client in turn, or two clients; tried by a token request.

Source: RFC 6749, sections 2.3.1 (client password), 4.4 (client credentials grant) and 5.2 (errors); RFC 7591 and 7592
for what they leave open: see `OAuthClient`.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Literal, Protocol, get_args
from urllib.parse import quote_plus, urlencode

from envelope.errors import InvalidArgument
from envelope_secrets.errors import SecretFormatError
from envelope_secrets.rotation.api_key import ApiKey
from envelope_secrets.rotation.failures import LoginRefused, PrivilegeMissing, RotationRefused, TargetError
from envelope_secrets.rotation.http_requests import HttpAnswer, HttpRequest, check_answer, check_http_options, send
from envelope_secrets.rotation.rotator import NewValue, Rotation
from envelope_secrets.rotation.two_keys import ListedKey, NewKey
from envelope_secrets.value import Secret, SecretFields

__all__ = ["ClientAuthentication", "ClientSecretIssuer", "OAuthClient"]

ClientAuthentication = Literal["basic", "post"]

FORM = "application/x-www-form-urlencoded"

_NOT_ALLOWED = frozenset({"unauthorized_client", "invalid_scope", "access_denied", "unsupported_grant_type"})
_WRONG_REQUEST = frozenset({"invalid_request", "invalid_grant", "invalid_target"})


class ClientSecretIssuer(Protocol):
    """What makes secrets of a client: `HttpIssuer`, or an object of yours. Methods as of `ApiKeyService`."""

    def create(self, rotation: Rotation, name: str) -> NewKey:
        """Make a secret with this name, and give its id, and its text in the field `OAuthClient.secret_field`."""
        ...

    def list(self, rotation: Rotation) -> Iterable[ListedKey]:
        """All secrets of the client."""
        ...

    def delete(self, rotation: Rotation, key_id: str) -> None:
        """Delete a secret; do nothing if there is none with this id."""
        ...


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """Rotates the secret of an OAuth client: the next one is made while the current one and the previous one work.

    The server must let a client have two secrets at least, and list them, as most identity providers do. By RFC 7592
    alone that is not to be had: there a new secret ends the old one, and a client that was registered by a call whose
    answer was lost cannot be found. Where only whole clients can be made and listed, two clients take turns:
    ``id_field="client_id"``, and no `client_id`.

    The new secret is tried by a request for a token with the grant ``client_credentials``. The token is thrown away.

    Args:
        issuer: makes, lists and deletes secrets. `HttpIssuer` needs ``stored_as="client_secret"``.
        token_url: of the server's token endpoint; https, or http on loopback.
        client_id: whose secrets these are. It is put into each new value, and a version for another client is refused.
            None where two clients take turns.
        scope: of the token that is asked for; the server's default if it is empty.
        parameters: further ones of the token request, like ``{"audience": "https://api.example"}``.
        authentication: ``basic`` sends id and secret in a header, ``post`` in the body.
        client_id_field, secret_field, id_field: the fields of the secret: the client's id, its secret, and the id by
            which the issuer lists the secret.
        most_secrets: as many as the issuer allows at once; see `ApiKey.most_keys`.
        propagation_s: how long the server may take to know a new secret everywhere.
        ca_file: see `Tls`.
        timeout_s: for the token request.

    Raises:
        InvalidArgument: an option of the wrong type or out of range.
    """

    issuer: ClientSecretIssuer = field(repr=False)
    _: KW_ONLY
    token_url: str
    client_id: str | None = None
    scope: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)
    authentication: ClientAuthentication = "basic"
    client_id_field: str = "client_id"
    secret_field: str = "client_secret"  # noqa: S105 - the name of a field
    id_field: str = "secret_id"
    prefix: str = "envelope"
    most_secrets: int | None = None
    propagation_s: float = 30.0
    ca_file: str | None = None
    timeout_s: float = 5.0
    _keys: ApiKey = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_http_options("token_url", self.token_url, self.ca_file, self.timeout_s)
        self._check_texts()
        parameters: object = self.parameters
        if not isinstance(parameters, Mapping) or not all(isinstance(v, str) for v in parameters.values()):
            raise InvalidArgument("parameters must be a mapping of texts")
        if self.authentication not in get_args(ClientAuthentication):
            raise InvalidArgument(f"authentication must be one of {', '.join(get_args(ClientAuthentication))}")
        if self.client_id is not None and self.client_id_field == self.id_field:
            raise InvalidArgument("where two clients take turns, client_id must be None")
        keys = ApiKey(
            _ClientSecrets(self),
            id_field=self.id_field,
            prefix=self.prefix,
            most_keys=self.most_secrets,
            propagation_s=self.propagation_s,
            creation_s=self.timeout_s,
        )
        object.__setattr__(self, "_keys", keys)

    def _check_texts(self) -> None:
        for method in ("create", "list", "delete"):
            if not callable(getattr(self.issuer, method, None)):
                raise InvalidArgument(f"issuer must be a ClientSecretIssuer, and has no {method}")
        for name in ("client_id_field", "secret_field", "id_field", "client_id", "scope"):
            value: object = getattr(self, name)
            may_be = (name == "client_id" and value is None) or (name == "scope" and value == "")
            if not may_be and (not isinstance(value, str) or not value):
                raise InvalidArgument(f"{name} must be text that is not empty")
        if self.secret_field in (self.client_id_field, self.id_field):
            raise InvalidArgument("secret_field must be another field than client_id_field and id_field")

    def new_value(self, rotation: Rotation) -> NewValue:
        """Remove what earlier rotations have left, and make a secret."""
        if rotation.current is not None:
            self._check_client(rotation.current)
        value = self._keys.new_value(rotation)
        own = {} if self.client_id is None else {self.client_id_field: self.client_id}
        return {**value, **own} if isinstance(value, Mapping) else value

    def apply(self, rotation: Rotation, pending: Secret) -> None:
        """Remove what other attempts of createSecret have made."""
        self._check_client(pending)
        self._keys.apply(rotation, pending)

    def verify(self, rotation: Rotation, pending: Secret) -> None:
        """Ask for a token with the pending secret, again and again as long as the server may not know it yet."""
        self._check_client(pending)
        self._keys.verify(rotation, pending)

    def retire(self, rotation: Rotation, pending: Secret) -> None:
        """Remove the secrets that no version with a label holds."""
        self._keys.retire(rotation, pending)

    def _check_client(self, version: Secret) -> None:
        """Nobody who may write the secret has another client's secret made or tried."""
        try:
            found = version.json.get(self.client_id_field, self.client_id)
        except SecretFormatError:  # a first value that somebody made up
            return
        if self.client_id is not None and found != self.client_id:
            raise RotationRefused(
                f"version {version.version_id} of {version.name} is for another client than the one that is rotated",
                hint=f"its field {self.client_id_field} must be the client_id that is configured; nothing was changed",
            )

    def _try(self, rotation: Rotation, fields: SecretFields) -> None:
        """One request for a token."""
        request = self._token_request(_text(fields, self.client_id_field), _text(fields, self.secret_field))
        answer = send(request, deadline=rotation.deadline, timeout_s=self.timeout_s, ca_file=self.ca_file)
        if answer.status in (400, 401):
            raise _refusal(answer)
        if not _has_token(check_answer(answer, "asking for a token")):
            raise TargetError("the answer to asking for a token has none", hint="is token_url the token endpoint?")

    def _token_request(self, client_id: str, client_secret: str) -> HttpRequest:
        form = {"grant_type": "client_credentials", **({"scope": self.scope} if self.scope else {}), **self.parameters}
        headers = {"Content-Type": FORM}
        if self.authentication == "post":
            form |= {"client_id": client_id, "client_secret": client_secret}
        else:  # both are form-encoded first: RFC 6749, section 2.3.1
            pair = f"{quote_plus(client_id)}:{quote_plus(client_secret)}"
            headers["Authorization"] = "Basic " + b64encode(pair.encode()).decode()
        return HttpRequest("POST", self.token_url, headers, urlencode(form).encode())


@dataclass(frozen=True, slots=True)
class _ClientSecrets:
    """See `ApiKeyService`."""

    client: OAuthClient

    def create(self, rotation: Rotation, name: str) -> NewKey:
        return self.client.issuer.create(rotation, name)

    def list(self, rotation: Rotation) -> Iterable[ListedKey]:
        return self.client.issuer.list(rotation)

    def delete(self, rotation: Rotation, key_id: str) -> None:
        self.client.issuer.delete(rotation, key_id)

    def check(self, rotation: Rotation, fields: SecretFields) -> None:
        self.client._try(rotation, fields)


def _text(fields: SecretFields, name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise RotationRefused(
            f"the pending version has no field {name} that is text",
            hint="the issuer has to give it with a new secret: see secret_field, and stored_as of HttpIssuer",
        )
    return value


def _has_token(answer: HttpAnswer) -> bool:
    token = answer.json()
    return isinstance(token, Mapping) and isinstance(token.get("access_token"), str)


def _refusal(answer: HttpAnswer) -> TargetError:
    """What the server says, as far as it is a word of RFC 6749; nothing else of the answer is shown."""
    try:
        body = answer.json()
    except TargetError:
        body = None
    code = body.get("error") if isinstance(body, Mapping) else None
    if code in _NOT_ALLOWED:
        return PrivilegeMissing(
            f"the client is known, and gets no such token ({code})", hint="see scope, and the grants of the client"
        )
    if code in _WRONG_REQUEST:
        return TargetError(f"the server does not take the token request ({code})", hint="see parameters and scope")
    return LoginRefused("the OAuth server does not know the client's secret")
