"""docs/rotation.md: the rotator that it shows is the one that runs, and what it links to is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from envelope_secrets.cli.rotation_words import ACTION_TEXTS
from envelope_secrets.rotation.diagnosis import RotationAction
from envelope_secrets.rotation.failures import TargetError
from envelope_secrets.rotation.rotator import Rotator

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "docs/rotation.md").read_text()
COMMANDS = (ROOT / "docs/secrets-cli.md").read_text()


def test_the_rotator_for_a_rest_api_is_that_of_the_example_word_for_word() -> None:
    (shown,) = re.findall(r"(?ms)^```python\n(class Billing:.*?)^```$", GUIDE)
    assert shown in (ROOT / "examples/rotation_api_key.py").read_text()


def anchors(text: str) -> set[str]:
    """The anchors of headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", ["rotation.md", "secrets-cli.md"])
def test_every_link_leads_somewhere(document: str) -> None:
    text = (ROOT / "docs" / document).read_text()
    for path, anchor in re.findall(r"\]\(([^)#\s:]*)(?:#([^)]+))?\)", text):
        target = ROOT / "docs" / (path or document)
        assert target.exists(), path
        assert not anchor or anchor in anchors(target.read_text()), (path, anchor)


def test_the_names_of_the_library_are_in_the_guide() -> None:
    missing = [kind.__name__ for kind in TargetError.__subclasses__() if f"`{kind.__name__}`" not in GUIDE]
    methods = [name for name, method in vars(Rotator).items() if callable(method) and not name.startswith("_")]
    assert len(methods) == 4
    missing += [name for name in methods if f"`{name}(rotation" not in GUIDE]
    missing += [action for action in RotationAction if f"`{action}`" not in COMMANDS]
    assert not missing
    assert list(ACTION_TEXTS) == list(RotationAction)
