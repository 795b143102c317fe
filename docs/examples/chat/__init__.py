"""A chat server with rooms, made of injected parts. Run it with `python -m docs.examples.chat`."""
