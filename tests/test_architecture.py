"""The layout that docs/architecture.md draws: no import goes up, there are no circles, each door is the only one."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# From the bottom to the top. A unit may import from the floors below its own, and from itself.
FLOORS: dict[str, tuple[set[str], ...]] = {
    "envelope": (
        {"errors"},
        {"suites", "context", "replacement", "process_state", "arguments"},
        {"cache"},  # knows no keys
        {"materials"},
        {"message", "crypto", "key_names", "binary_files", "aws"},
        {"keystore", "spool", "signing"},
        {"keyrings"},
        {"data_key_events"},
        {"kept_data_keys"},
        {"data_keys", "keyring_calls"},
        {"engine"},
        {"message_source", "encrypting_writer", "ranges", "files", "opened"},
        {"streams", "decrypting_reader"},
        {"client"},
        {"aio"},
        {""},  # envelope/__init__.py
        {"cli"},
        {"__main__"},
        {"testing"},  # for the tests of users; nothing here imports it
    ),
    "envelope_secrets": (
        {"errors", "stages", "schedules"},
        {"limits"},
        {"references", "typed_values", "password"},
        {"value"},
        {"service_rules"},
        {"stores"},
        {"label_moves", "label_state"},
        {"writing", "policy_documents", "events", "key_ring", "batch"},
        {"cache", "watching", "stage_operations", "rotation_control", "policies", "inject"},
        {"client"},
        {"aio"},
        {"rotation"},
        {"connectors"},
        {""},  # envelope_secrets/__init__.py
        {"cli"},
        {"testing"},
    ),
}
ROOTS = {"envelope": ROOT / "envelope", "envelope_secrets": ROOT / "secrets" / "envelope_secrets"}
DOORS = {
    "boto3": {"envelope/aws"},
    "botocore": {"envelope/aws"},
    "click": {"envelope/cli", "secrets/envelope_secrets/cli"},
    "cryptography": {"envelope/crypto"},
    "rich": {"envelope/cli", "secrets/envelope_secrets/cli"},
    "sqlite3": {"secrets/envelope_secrets/stores"},
}

SOURCES = sorted([*ROOT.glob("envelope/**/*.py"), *ROOT.glob("secrets/**/*.py")])


def imported_names(source: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def unit_of(module: str) -> str:
    """The unit of a module; a name of the package itself, like `envelope.Client`, is of `envelope/__init__.py`."""
    package, _, rest = module.partition(".")
    unit = rest.partition(".")[0]
    return unit if any(unit in units for units in FLOORS[package]) else ""


@pytest.mark.parametrize("package", FLOORS)
def test_every_unit_has_a_floor(package: str) -> None:
    units = {path.stem for path in ROOTS[package].iterdir() if path.suffix == ".py" or path.is_dir()}
    assert units - {"__init__", "__pycache__", "py"} <= set().union(*FLOORS[package])


def floor_of(module: str) -> int:
    unit = unit_of(module)
    return next(number for number, units in enumerate(FLOORS[package_of(module)]) if unit in units)


def package_of(module: str) -> str:
    return module.partition(".")[0]


def module_of(source: Path) -> str:
    root = ROOT / "secrets" if source.is_relative_to(ROOT / "secrets") else ROOT
    return ".".join(source.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: str(source.relative_to(ROOT)))
def test_no_import_goes_up_a_floor_or_sideways(source: Path) -> None:
    module = module_of(source)
    for name in imported_names(source):
        if package_of(name) == package_of(module) and unit_of(name) != unit_of(module):
            assert floor_of(name) < floor_of(module), f"{source} imports {name}"


def test_envelope_never_imports_envelope_secrets() -> None:
    assert not [s for s in ROOT.glob("envelope/**/*.py") for n in imported_names(s) if "envelope_secrets" in n]


def test_envelope_secrets_imports_nothing_of_the_command_but_in_its_own_commands() -> None:
    own = ROOT / "secrets" / "envelope_secrets" / "cli"
    others = [source for source in ROOT.glob("secrets/**/*.py") if not source.is_relative_to(own)]
    assert not [s for s in others for name in imported_names(s) if f"{name}.".startswith("envelope.cli.")]


def test_there_are_no_circles_inside_a_package() -> None:
    modules = {module_of(source): source for source in SOURCES}
    remaining = {
        module: {known for name in imported_names(source) for known in modules if name.startswith(f"{known}.")}
        - {module}
        for module, source in modules.items()
    }
    for package in [module for module in modules if modules[module].name == "__init__.py"]:
        for imports in remaining.values():
            imports.discard(package)  # importing a module of a package is not importing from the package
    while ready := {module for module, imports in remaining.items() if not imports & remaining.keys()}:
        remaining = {module: imports for module, imports in remaining.items() if module not in ready}
    assert not remaining, "these import one another"


@pytest.mark.parametrize("library", DOORS)
def test_a_library_comes_in_by_one_door(library: str) -> None:
    users = {
        str(source.relative_to(ROOT).parent)
        for source in SOURCES
        for name in imported_names(source)
        if name.split(".")[0] == library
    }
    assert users <= DOORS[library]


def test_secrets_is_a_source_root_and_no_package() -> None:
    assert not (ROOT / "secrets" / "__init__.py").exists()


def test_no_file_has_more_than_one_idea() -> None:
    long = [str(source) for source in SOURCES if len(source.read_text().splitlines()) > 400]
    shapeless = [str(s) for s in SOURCES if s.stem in ("utils", "helpers", "common", "base", "misc", "types")]
    assert not long + shapeless
