"""A chat server with rooms, made of injected parts: `python -m docs.examples.chat`, installed as `.[server]`."""
