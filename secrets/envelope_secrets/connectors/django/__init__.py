"""Database backends for Django that log in with the credentials of the moment. Importing this imports no Django."""
