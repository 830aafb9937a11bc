"""What Secrets Manager allows, and what it does then: pure functions over frozen values. Stores stand on them."""
