"""Real database servers for the tests: started on loopback as an unprivileged user, and gone afterwards."""
