"""Connections that survive rotation: credentials are read when a connection is made, and read anew when refused.

    connection = connect(secrets, "prod/db", psycopg.connect)

Drivers are imported by whoever gives them, or when the first connection needs them.
"""

from envelope_secrets.connectors.connecting import connect, connect_async
from envelope_secrets.connectors.mongo_clients import MongoClients
from envelope_secrets.connectors.psycopg_pools import async_connection_class, async_pool, connection_class, pool
from envelope_secrets.connectors.redis_login import AsyncRedisLogin, RedisLogin
from envelope_secrets.connectors.sqlalchemy_engine import async_engine, engine

__all__ = [
    "AsyncRedisLogin",
    "MongoClients",
    "RedisLogin",
    "async_connection_class",
    "async_engine",
    "async_pool",
    "connect",
    "connect_async",
    "connection_class",
    "engine",
    "pool",
]
