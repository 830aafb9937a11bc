"""``"ENGINE": "envelope_secrets.connectors.django.mysql"``; see `envelope_secrets.connectors.django_settings`."""
