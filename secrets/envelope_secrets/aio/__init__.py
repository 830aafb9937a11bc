"""`AsyncSecretsClient`: the same cache and the same operations, for an event loop."""
