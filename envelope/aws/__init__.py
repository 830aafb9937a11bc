"""The only package that imports boto3 and botocore, and only when the first call to AWS needs them."""
