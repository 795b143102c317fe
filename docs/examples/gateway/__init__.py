"""A support desk, made of levels. Run it with `python -m docs.examples.gateway`."""
