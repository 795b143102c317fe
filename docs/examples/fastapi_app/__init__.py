"""Notes in a FastAPI application, over HTTP and sockets: `python -m docs.examples.fastapi_app`, with `.[examples]`."""
