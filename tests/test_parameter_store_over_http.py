"""`ParameterStore` over real HTTP on moto, whose versions, labels and selectors are those of the service.

Moto does not say in an answer by which selector a parameter was asked for, nor the ARN in a list; it calls a secret of
Secrets Manager by its own name, takes any KMS key and 4,097 characters. So those are tested elsewhere.
"""

from __future__ import annotations

from typing import Any

import pytest

from envelope_secrets.client import SecretsClient
from envelope_secrets.errors import SecretConflict, SecretNotFound
from envelope_secrets.stages import AWSCURRENT, StageMove
from envelope_secrets.stores.parameters import ParameterStore
from envelope_secrets.stores.protocol import NewSecret, NewVersion
from envelope_secrets.value import Secret
from tests.moto_server import FIRST_ACCOUNT, REGIONS
from tests.secrets_peers import moto_aws, moto_peer, new_name, token


@pytest.fixture(scope="module")
def parameters() -> ParameterStore:
    return ParameterStore(moto_aws())


def parameter(parameters: ParameterStore, value: str = "one", **more: Any) -> str:
    name = f"/{new_name()}/db"
    parameters.create(NewSecret(name, NewVersion(value, token()), **more))
    return name


def test_a_parameter_is_read_by_version_and_by_label(parameters: ParameterStore) -> None:
    name = parameter(parameters, tags={"team": "a"}, description="a parameter")
    parameters.put(name, NewVersion("two", token(), (AWSCURRENT, "blue")))
    parameters.put(name, NewVersion("three", token()))
    read = {asked: parameters.read(f"{name}{asked}") for asked in ("", ":1", ":blue")}
    assert {asked: secret.text for asked, secret in read.items()} == {"": "three", ":1": "one", ":blue": "two"}
    assert [secret.version_id for secret in read.values()] == ["3", "1", "2"]
    assert parameters.read(name, stage="blue").text == "two"
    assert parameters.read(name, stage=None, version_id="1").text == "one"
    assert parameters.read(parameters.describe(name).arn).text == "three"
    versions = parameters.versions(name)
    assert [(version.version_id, version.stages) for version in versions] == [("3", (AWSCURRENT,)), ("2", ("blue",))]
    described = parameters.describe(name)
    assert (described.name, described.description, described.tags) == (name, "a parameter", {"team": "a"})
    assert described.arn == f"arn:aws:ssm:{REGIONS[0]}:{FIRST_ACCOUNT}:parameter{name}"


def test_what_is_not_there_is_not_found(parameters: ParameterStore) -> None:
    name = parameter(parameters)
    for secret_id in ("/none", f"{name}:9", f"{name}:red"):
        with pytest.raises(SecretNotFound):
            parameters.read(secret_id)
    with pytest.raises(SecretNotFound):
        parameters.put("/none", NewVersion("x", token()))
    with pytest.raises(SecretNotFound):
        parameters.tag("/none", {"a": "b"})
    with pytest.raises(SecretConflict, match="the name is in use"):
        parameters.create(NewSecret(name, NewVersion("x", token())))


def test_a_label_of_a_parameter_moves_and_goes(parameters: ParameterStore) -> None:
    name = parameter(parameters)
    parameters.put(name, NewVersion("two", token(), (AWSCURRENT, "blue")))
    parameters.move_stage(name, StageMove("blue", "1", "2"))
    assert parameters.read(f"{name}:blue").text == "one"
    with pytest.raises(SecretConflict, match="is on version 1"):
        parameters.move_stage(name, StageMove("blue", "1", "2"))
    parameters.move_stage(name, StageMove("blue", None, "1"))
    assert parameters.describe(name).labels.holder("blue") is None


def test_many_parameters_and_a_tree(parameters: ParameterStore) -> None:
    root = f"/{new_name()}"
    names = [f"{root}/{number:02}" for number in range(12)]
    for name in names:
        parameters.create(NewSecret(name, NewVersion(f"value of {name}", token())))
    expected: dict[str, Any] = {name: f"value of {name}" for name in names}
    tree = parameters.read_tree(f"{root}/")
    assert {name: secret.text for name, secret in tree.items()} == expected
    outcomes = parameters.read_many([*names, f"{names[0]}:1", "/none"])
    found = {name: it.text if isinstance(it, Secret) else type(it) for name, it in outcomes.items()}
    assert found == expected | {f"{names[0]}:1": f"value of {names[0]}", "/none": SecretNotFound}
    assert [it.name for it in parameters.list(prefix=root)] == names


def test_parameters_are_tagged_and_deleted(parameters: ParameterStore) -> None:
    name = parameter(parameters, tags={"team": "a"})
    parameters.tag(name, {"stage": "test"})
    parameters.untag(name, ["team"])
    assert parameters.describe(name).tags == {"stage": "test"}
    parameters.delete(name, recovery_window_days=None)
    with pytest.raises(SecretNotFound):
        parameters.delete(name, recovery_window_days=None)


def test_a_secret_is_read_through_parameter_store(parameters: ParameterStore) -> None:
    moto = moto_peer()
    name = moto.secret("through both")
    secret = parameters.read(f"/aws/reference/secretsmanager/{name}")
    assert (secret.text, secret.arn) == ("through both", moto.store.describe(name).arn)


def test_a_client_reads_parameters_through_its_cache(parameters: ParameterStore) -> None:
    name = parameter(parameters)
    with SecretsClient(parameters) as secrets:
        assert secrets.get(name).text == "one"
        parameters.put(name, NewVersion("two", token()))
        assert secrets.get(name).text == "one"
        assert secrets.refresh(name).text == "two"
        assert secrets.get(f"{name}:1").text == "one"
        assert secrets.get(name, version_id="1").text == "one"
        secrets.put(name, "three")
        assert secrets.get(name).text == "three"
        tree = secrets.get_tree(name.rpartition("/")[0])
        assert {found: secret.text for found, secret in tree.items()} == {name: "three"}
