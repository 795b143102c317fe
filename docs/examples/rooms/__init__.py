"""Rooms with typed messages and a database: `python -m docs.examples.rooms`, installed as `.[examples]`."""
