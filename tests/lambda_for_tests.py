"""A function in a process of its own, and Secrets Manager behind HTTP: what a rotation function sees in Lambda."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from zipfile import ZipFile

from envelope.aws.in_process import NoAnswer
from envelope.testing.callers import caller_of
from envelope_secrets.testing import FaultySecretsManager
from examples.rotation_lambda.build import BOTO3, build, copy_installed
from tests.http_answers import CLOSE, Answer, Received

__all__ = [
    "FUNCTION_ROLE",
    "REGION",
    "FailedInvocation",
    "LambdaFunction",
    "answer_of",
    "runtime_folder",
    "unpacked_zip",
]

REGION = "eu-west-1"
FUNCTION_ROLE = "arn:aws:iam::111122223333:role/rotation-function"
FUNCTION_KEY = "AKIDOFTHEFUNCTION"
RUNTIME = Path(__file__).with_name("lambda_runtime.py")


class FailedInvocation(Exception):
    """What the service sees of an exception of the function."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind


class LambdaFunction:
    """One execution environment: a process that is warm after its first event.

    Args:
        task: the folder with the function's files.
        runtime: the folder with what Lambda brings.
        variables: of the function.
        log: a file for what it logs.
    """

    def __init__(self, task: Path, runtime: Path, variables: Mapping[str, str], log: Path) -> None:
        self.log = log
        environment = {
            "AWS_ACCESS_KEY_ID": FUNCTION_KEY,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
            "AWS_LAMBDA_FUNCTION_NAME": "rotate",
            "AWS_REGION": REGION,
            "AWS_SECRET_ACCESS_KEY": "made-up",
            "AWS_SESSION_TOKEN": "made-up",
            "LAMBDA_RUNTIME_DIR": str(runtime),
            "LAMBDA_TASK_ROOT": str(task),
            "LANG": "en_US.UTF-8",
            "PATH": "/usr/bin:/bin",
            "TZ": ":UTC",
            "_HANDLER": "handler.handler",
        }
        with log.open("ab") as written:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-B", str(RUNTIME)],
                cwd=task,
                env={**environment, **variables},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=written,
            )

    def __call__(self, event: Mapping[str, Any], context: object = None) -> None:
        """Invoke it; a handler for `FaultySecretsManager`.

        Raises:
            FailedInvocation: the function raised.
        """
        self.invoke(event)

    def invoke(self, event: object, *, timeout_s: float = 30.0) -> None:
        """Invoke it with any document."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"event": event, "timeout_s": timeout_s}).encode() + b"\n")
        self.process.stdin.flush()
        error = json.loads(self.process.stdout.readline() or '{"errorType": "Exited", "errorMessage": ""}')
        if error is not None:
            raise FailedInvocation(error["errorType"], error["errorMessage"])

    def logged(self) -> str:
        return self.log.read_text()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.communicate()


def unpacked_zip(folder: Path, target_packages: tuple[str, ...], ca_file: Path) -> Path:
    """Build the zip from this environment, unpack it as Lambda does, and give the folder."""
    archive = folder / "function.zip"
    build(archive, target_packages, copy_installed, ca_file=ca_file)
    with ZipFile(archive) as packed:
        packed.extractall(folder / "task")
    return folder / "task"


def runtime_folder(folder: Path) -> Path:
    """What Lambda's Python brings: boto3, and what that needs."""
    folder.mkdir()
    for name in BOTO3:
        for file in metadata.distribution(name).files or ():
            top = file.parts[0]
            if not top.endswith((".dist-info", "..")) and top != "__pycache__" and not (folder / top).exists():
                (folder / top).symlink_to(metadata.distribution(name).locate_file(top))  # type: ignore[arg-type]
    return folder


def answer_of(fake: FaultySecretsManager, received: Received) -> Answer:
    """What the service answers to a request that came by HTTP; the key of the request tells the caller."""
    principal = FUNCTION_ROLE if received.access_key == FUNCTION_KEY else None
    try:
        answer = fake._answer(caller_of(received.region, None, principal), received.operation, dict(received.body))
    except NoAnswer:
        return CLOSE
    return Answer(answer.body, answer.status, {"x-amzn-RequestId": answer.request_id})
