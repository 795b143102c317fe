"""Secrets are compared in a time that does not depend on how much of them is right."""

from __future__ import annotations

import hmac


def same_secret(given: str | bytes, expected: str | bytes) -> bool:
    """Whether a client knows a secret.

    Unlike `secrets.compare_digest()`, it takes any string: what a client sends need not be ASCII.

    Args:
        given: What the client has sent.
        expected: The secret.
    """
    return hmac.compare_digest(_bytes(given), _bytes(expected))


def _bytes(secret: str | bytes) -> bytes:
    return secret if isinstance(secret, bytes) else secret.encode("utf-8", "surrogatepass")
