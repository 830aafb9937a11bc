"""A cache kit that knows no keys: bounded, expiring, one call for everybody who needs it, renewed ahead of time.

Data keys stand on it, and whatever else is fetched at a price.
"""
