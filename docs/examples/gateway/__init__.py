"""A support desk, made of levels: `python -m docs.examples.gateway`, installed as `.[server]`."""
