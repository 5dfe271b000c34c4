"""Speed and memory of the harness against the obvious alternative: ``python -m benchmarks``; see README.md here."""
