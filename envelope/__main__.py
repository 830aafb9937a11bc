"""`python -m envelope`."""

from __future__ import annotations

import sys

from envelope.cli import main

sys.exit(main())
