"""Tests of sockets that do not hang and do not lie: clients in process, overrides, a clock, and a real server."""

from wsroute.testing.client import ClientWebSocket
from wsroute.testing.clock import Clock, fake_clock
from wsroute.testing.connecting import connect
from wsroute.testing.errors import (
    ConnectionClosed,
    DeadlinePassed,
    HandshakeRefused,
    IllegalMessage,
    LeftBehind,
    LifespanFailed,
    SocketTestError,
    UnexpectedMessage,
    UnusedOverride,
)
from wsroute.testing.lifespans import lifespan
from wsroute.testing.live import LiveServer
from wsroute.testing.overrides import override
from wsroute.testing.sync import SyncClock, SyncWebSocket, connect_sync, fake_clock_sync, lifespan_sync
from wsroute.testing.wire import Close

__all__ = [
    "ClientWebSocket",
    "Clock",
    "Close",
    "ConnectionClosed",
    "DeadlinePassed",
    "HandshakeRefused",
    "IllegalMessage",
    "LeftBehind",
    "LifespanFailed",
    "LiveServer",
    "SocketTestError",
    "SyncClock",
    "SyncWebSocket",
    "UnexpectedMessage",
    "UnusedOverride",
    "connect",
    "connect_sync",
    "fake_clock",
    "fake_clock_sync",
    "lifespan",
    "lifespan_sync",
    "override",
]
