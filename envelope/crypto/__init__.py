"""The primitives. The only package that imports pyca/cryptography; nothing here knows the message format."""
