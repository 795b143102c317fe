"""What injection costs, beside the same thing written by hand and in other frameworks: `python -m tests.benchmarks`.

No part of the test suite. `docs/performance.md` says how to run it and how to read what it prints.
"""
