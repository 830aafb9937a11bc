"""For the tests of programs that use secrets: AWS Secrets Manager in memory, strict, with faults on demand.

    fake = FaultySecretsManager()
    secretsmanager = fake.client(region="eu-west-1")  # a real boto3 client; every answer is made in this process
    store = SecretsManagerStore(client_for_region=fake.client_for())

Nothing of it is fit to keep a secret: values live in memory and in the test's hands.
"""

from envelope_secrets.testing.calls import SecretsManagerCall
from envelope_secrets.testing.faulty_secrets_manager import FaultySecretsManager
from envelope_secrets.testing.lambda_context import LambdaContext
from envelope_secrets.testing.rotations import RotationRun, StepRun
from envelope_secrets.testing.trouble import Stopped

__all__ = ["FaultySecretsManager", "LambdaContext", "RotationRun", "SecretsManagerCall", "StepRun", "Stopped"]
