"""Notes in a FastAPI application, over HTTP and over sockets. Run it with `python -m docs.examples.fastapi_app`."""
