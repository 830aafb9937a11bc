"""The template of the rotation function as data: parameters filled in, conditions decided, references resolved.

Only what the template uses of CloudFormation; anything else is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # comes with moto, without types

__all__ = ["PATH", "Template"]

PATH = Path(__file__).parent.parent / "examples/rotation_lambda/template.yaml"
NO_VALUE = "AWS::NoValue"
PSEUDO: Mapping[str, Any] = {
    "AWS::AccountId": "111122223333",
    "AWS::NoValue": NO_VALUE,
    "AWS::Partition": "aws",
    "AWS::Region": "eu-west-1",
    "AWS::StackName": "rotation",
    "AWS::URLSuffix": "amazonaws.com",
}
REFERENCE = re.compile(r"\$\{([^}!]+)\}")


class Loader(yaml.SafeLoader):
    """Reads the short forms of functions, like ``!Ref``, as mappings of one key, like ``{"Ref": ...}``."""


def _function(loader: Any, suffix: str, node: Any) -> dict[str, Any]:
    construct = {"scalar": "construct_scalar", "sequence": "construct_sequence", "mapping": "construct_mapping"}[
        node.id
    ]
    value = getattr(loader, construct)(node, *([True] if node.id != "scalar" else []))
    if suffix == "GetAtt":
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


yaml.add_multi_constructor("!", _function, Loader)


@dataclass(frozen=True)
class Template:
    """A template, and the values of its parameters."""

    document: dict[str, Any]
    parameters: dict[str, Any]

    @classmethod
    def read(cls, **parameters: Any) -> Template:
        """With the defaults for the parameters that are not given."""
        document = yaml.load(PATH.read_text(), Loader)  # noqa: S506 - a safe loader
        declared = document["Parameters"]
        unknown = parameters.keys() - declared.keys()
        assert not unknown, unknown
        values = {name: parameters.get(name, about.get("Default")) for name, about in declared.items()}
        lists = {name for name, about in declared.items() if about["Type"] == "CommaDelimitedList"}
        return cls(document, {name: v.split(",") if name in lists else v for name, v in values.items()})

    @property
    def resources(self) -> dict[str, Any]:
        """Those whose condition holds, resolved."""
        named: dict[str, Any] = self.document["Resources"]
        return {name: self.resolved(about) for name, about in named.items() if self._exists(about)}

    def _exists(self, about: Mapping[str, Any]) -> bool:
        return "Condition" not in about or self.holds(about["Condition"])

    def holds(self, condition: str) -> bool:
        return bool(self.resolved(self.document["Conditions"][condition]))

    def resolved(self, value: Any) -> Any:
        """The value as CloudFormation makes it; a resource stands as ``<Name>``, its attribute as ``<Name.Arn>``."""
        if isinstance(value, list):
            items = (self.resolved(item) for item in value)
            return [item for item in items if item != NO_VALUE]
        if not isinstance(value, dict):
            return value
        (name, argument), *more = value.items() or [("", None)]
        if not more and (name == "Ref" or name.startswith("Fn::")):
            return self._functions()[name](argument)
        fields = {key: self.resolved(item) for key, item in value.items()}
        return {key: item for key, item in fields.items() if item != NO_VALUE}

    def _functions(self) -> dict[str, Callable[[Any], Any]]:
        return {
            "Ref": self._reference,
            "Fn::GetAtt": lambda parts: self._attribute(*parts),
            "Fn::Sub": lambda text: REFERENCE.sub(lambda found: str(self._reference(found[1])), text),
            "Fn::If": lambda parts: self.resolved(parts[1] if self.holds(parts[0]) else parts[2]),
            "Fn::Not": lambda parts: not self.resolved(parts[0]),
            "Fn::Equals": lambda parts: self.resolved(parts[0]) == self.resolved(parts[1]),
            "Fn::Join": lambda parts: parts[0].join(self.resolved(parts[1])),
        }

    def _reference(self, name: str) -> Any:
        if name in PSEUDO:
            return PSEUDO[name]
        return self.parameters[name] if name in self.parameters else f"<{self._known(name)}>"

    def _attribute(self, name: str, attribute: str) -> str:
        return f"<{self._known(name)}.{attribute}>"

    def _known(self, name: str) -> str:
        """The name, if there is such a resource under these parameters."""
        assert self._exists(self.document["Resources"][name]), name
        return name

    # The permissions of the function

    def statements(self) -> list[dict[str, Any]]:
        """What the function's role is allowed."""
        (policy,) = self.resources["Role"]["Properties"]["Policies"]
        found: list[dict[str, Any]] = policy["PolicyDocument"]["Statement"]
        return found

    def actions(self) -> Iterator[tuple[str, str]]:
        """Every action with its resource."""
        for statement in self.statements():
            named = statement["Action"]
            yield from ((action, statement["Resource"]) for action in ([named] if isinstance(named, str) else named))

    def allowed_operations(self) -> set[tuple[str, str]]:
        """Operations of Secrets Manager with the ARN of the secret."""
        return {(action.split(":")[1], arn) for action, arn in self.actions() if action.startswith("secretsmanager:")}
