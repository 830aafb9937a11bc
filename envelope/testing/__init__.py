"""Fakes for the tests of programs that use this package: AWS KMS in memory, and a clock that tests move.

    fake = FakeKms()
    kms = fake.client(region="eu-west-1")  # a real boto3 client; every answer is made in this process
    key_arn = kms.create_key()["KeyMetadata"]["Arn"]

Nothing of it is fit to protect data: keys live in memory and in the test's hands.
"""

from envelope.testing.clock import FakeClock
from envelope.testing.kms_calls import KmsCall
from envelope.testing.kms_fake import FakeKms

__all__ = ["FakeClock", "FakeKms", "KmsCall"]
