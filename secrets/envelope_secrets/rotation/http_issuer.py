"""A service that issues keys by a REST API of the usual kind: one URL to which keys are posted, and that lists them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any
from urllib.parse import quote, urljoin

from envelope.arguments import check_function
from envelope.errors import InvalidArgument
from envelope_secrets.rotation.failures import TargetError
from envelope_secrets.rotation.http_requests import (
    HttpAnswer,
    HttpRequest,
    check_answer,
    check_http_options,
    is_private_url,
    same_origin,
    send,
)
from envelope_secrets.rotation.rotator import Rotation
from envelope_secrets.rotation.two_keys import ListedKey, NewKey
from envelope_secrets.stores.hidden_values import hidden_bytes, hidden_text
from envelope_secrets.value import SecretFields

__all__ = ["HttpIssuer"]

MOST_PAGES = 100
GONE = (404, 410)


@dataclass(frozen=True, slots=True)
class HttpIssuer:
    """For `ApiKey` and `OAuthClient`: ``POST url`` makes a key, ``GET url`` lists keys, ``DELETE url/id`` deletes one.

    The answer to POST is a JSON object with the key's id and its secret part; that to GET an array of objects with id
    and name, or an object with such an array. A service that wants to be asked otherwise needs an object of your own
    with `create`, `list` and `delete`: see `ApiKeyService`.

    Args:
        url: https, or http on loopback.
        authorization: gives the header Authorization, like
            ``lambda rotation: "Bearer " + rotation.other_secret("prod/issuer-admin").text``.
        name_field, id_field, secret_field: of the service's JSON: what a key is called, its id, its secret part.
        stored_as: the field of the secret for the secret part.
        body: further members of what is posted, like ``{"expires_in_days": 90}``.
        items_field: the field of the list's answer that holds the array; None if the answer is the array.
        next_field: the field of the list's answer that holds the URL of the next page, where there is one.
        check_url: is asked by testSecret with the new key, for `ApiKey`; `OAuthClient` does not need it.
        check_authorization: gives the header Authorization for that, from the fields of the secret.
        ca_file: see `Tls`.
        timeout_s: for one request.

    Raises:
        InvalidArgument: an option of the wrong type or range.
    """

    url: str
    _: KW_ONLY
    authorization: Callable[[Rotation], str] = field(repr=False)
    name_field: str = "name"
    id_field: str = "id"
    secret_field: str = "secret"  # noqa: S105 - the name of a field
    stored_as: str = "secret"
    body: Mapping[str, Any] = field(default_factory=dict, repr=False)
    items_field: str | None = None
    next_field: str | None = None
    check_url: str | None = None
    check_authorization: Callable[[SecretFields], str] | None = field(default=None, repr=False)
    ca_file: str | None = None
    timeout_s: float = 5.0

    def __post_init__(self) -> None:
        check_http_options("url", self.url, self.ca_file, self.timeout_s)
        check_function("authorization", self.authorization)
        for name in ("name_field", "id_field", "secret_field", "stored_as", "items_field", "next_field"):
            value: object = getattr(self, name)
            is_left_out = value is None and name in ("items_field", "next_field")
            if not is_left_out and (not isinstance(value, str) or not value):
                raise InvalidArgument(f"{name} must be the name of a field")
        body: object = self.body
        if not isinstance(body, Mapping):
            raise InvalidArgument(f"body must be a mapping, not {type(body).__name__}")
        if (self.check_url is None) != (self.check_authorization is None):
            raise InvalidArgument("check_url and check_authorization go together")
        if self.check_url is not None:
            check_http_options("check_url", self.check_url, self.ca_file, self.timeout_s)
            check_function("check_authorization", self.check_authorization)

    def create(self, rotation: Rotation, name: str) -> NewKey:
        """See `ApiKeyService.create`."""
        content = json.dumps({**self.body, self.name_field: name}).encode()
        key = self._key_in(check_answer(self._asked(rotation, "POST", self.url, hidden_bytes(content)), "making a key"))
        if key is None:
            raise TargetError(
                "the answer to making a key has no id, or no secret part",
                hint="see id_field and secret_field; the key that was made is removed by the next rotation",
            )
        return key

    def list(self, rotation: Rotation) -> Iterator[ListedKey]:
        """See `ApiKeyService.list`."""
        url = self.url
        for _ in range(MOST_PAGES):
            answer = check_answer(self._asked(rotation, "GET", url), "listing the keys")
            keys, following = self._page_in(answer)
            if keys is None:
                raise TargetError(
                    "the answer to listing the keys has no array of objects with an id",
                    hint="see items_field and id_field",
                )
            yield from keys
            if not following:
                return
            url = self._next_url(url, following)
        raise TargetError(f"the list of keys has more than {MOST_PAGES} pages")

    def delete(self, rotation: Rotation, key_id: str) -> None:
        """See `ApiKeyService.delete`."""
        answer = self._asked(rotation, "DELETE", f"{self.url.rstrip('/')}/{quote(key_id, safe='')}")
        if answer.status not in GONE:
            check_answer(answer, "deleting a key")

    def check(self, rotation: Rotation, fields: SecretFields) -> None:
        """See `ApiKeyService.check`."""
        if self.check_url is None or self.check_authorization is None:
            raise InvalidArgument("HttpIssuer has no check_url, and ApiKey needs one to try a new key")
        headers = {"Authorization": _header("check_authorization", self.check_authorization(fields))}
        check_answer(self._sent(rotation, HttpRequest("GET", self.check_url, headers)), "using the new key")

    def _asked(self, rotation: Rotation, method: str, url: str, content: bytes = b"") -> HttpAnswer:
        headers = {"Authorization": _header("authorization", self.authorization(rotation))}
        if content:
            headers["Content-Type"] = "application/json"
        return self._sent(rotation, HttpRequest(method, url, headers, content))

    def _sent(self, rotation: Rotation, request: HttpRequest) -> HttpAnswer:
        return send(request, deadline=rotation.deadline, timeout_s=self.timeout_s, ca_file=self.ca_file)

    # What these two see may hold keys, so they raise nothing: a report of an error would show it.

    def _key_in(self, answer: HttpAnswer) -> NewKey | None:
        """The key that was made; None if there is none in the answer."""
        made = answer.json()
        key_id, secret = _id_in(made, self.id_field), _member(made, self.secret_field)
        return NewKey(key_id, {self.stored_as: secret}) if key_id and secret and isinstance(secret, str) else None

    def _page_in(self, answer: HttpAnswer) -> tuple[Sequence[ListedKey] | None, object]:
        """The keys of one page, or None if that is no list of keys; and where the next page is."""
        page = answer.json()
        items = page if self.items_field is None else _member(page, self.items_field)
        if not isinstance(items, list) or not all(_id_in(item, self.id_field) for item in items):
            return None, None
        keys = [ListedKey(_id_in(item, self.id_field), _name_in(item, self.name_field)) for item in items]
        return keys, _member(page, self.next_field)

    def _next_url(self, url: str, following: object) -> str:
        """The next page, at the same server: the administrator's credentials are sent there."""
        try:
            joined = urljoin(url, following) if isinstance(following, str) else ""
        except ValueError:  # half of an IPv6 address
            joined = ""
        if not is_private_url(joined) or not same_origin(joined, self.url):
            raise TargetError("the list of keys goes on at another server, which is not asked")
        return joined


def _member(answer: object, name: str | None) -> object:
    return answer.get(name) if isinstance(answer, Mapping) and name is not None else None


def _name_in(item: object, name: str) -> str:
    """What a key is called; empty if it is not, or in a way that is none of ours."""
    value = _member(item, name)
    return value if isinstance(value, str) else ""


def _header(option: str, value: object) -> str:
    """A header that no report of an error shows."""
    if not isinstance(value, str):
        raise InvalidArgument(f"{option} must give text, not {type(value).__name__}")
    return hidden_text(value)


def _id_in(answer: object, name: str) -> str:
    """The id, which some services write as a number; empty if there is none.

    ``.`` and ``..`` are none: as the last part of a path they would mean what is above the keys.
    """
    value = _member(answer, name)
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_number or (isinstance(value, str) and value not in (".", "..")) else ""
