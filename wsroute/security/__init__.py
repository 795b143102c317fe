"""Security schemes: dependencies that take credentials from a connection, or refuse it.

Those of FastAPI's names have FastAPI's parameters. All of them work in sockets, with `Depends` or `Security`, and in
HTTP routes of FastAPI, with FastAPI's own.
"""

from wsroute.dependencies.specials import SecurityScopes
from wsroute.security.api_key import APIKeyCookie, APIKeyHeader, APIKeyQuery
from wsroute.security.comparison import same_secret
from wsroute.security.http import HTTPAuthorizationCredentials, HTTPBasic, HTTPBasicCredentials, HTTPBearer
from wsroute.security.oauth2 import OAuth2PasswordBearer
from wsroute.security.schemes import SchemeModel, SecurityScheme
from wsroute.security.subprotocol import BearerSubprotocol
from wsroute.security.ticket import Ticket
from wsroute.security.tickets import Bound, MemoryTicketStore, TicketStore

__all__ = [
    "APIKeyCookie",
    "APIKeyHeader",
    "APIKeyQuery",
    "BearerSubprotocol",
    "Bound",
    "HTTPAuthorizationCredentials",
    "HTTPBasic",
    "HTTPBasicCredentials",
    "HTTPBearer",
    "MemoryTicketStore",
    "OAuth2PasswordBearer",
    "SchemeModel",
    "SecurityScheme",
    "SecurityScopes",
    "Ticket",
    "TicketStore",
    "same_secret",
]
