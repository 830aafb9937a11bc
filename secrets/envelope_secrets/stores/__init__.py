"""Where secrets are: AWS Secrets Manager, Parameter Store, or one file on this machine. One file for each."""
