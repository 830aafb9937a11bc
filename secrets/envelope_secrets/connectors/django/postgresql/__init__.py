"""``"ENGINE": "envelope_secrets.connectors.django.postgresql"``; see `envelope_secrets.connectors.django_settings`."""
