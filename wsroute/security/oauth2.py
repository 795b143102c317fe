"""OAuth 2, as far as a WebSocket takes part in it: the token that a client has got over HTTP."""

# No postponed annotations here: FastAPI can't find what a string means in the `__call__` of an object.

from starlette.requests import HTTPConnection

from wsroute.security.schemes import BearerScheme, SchemeModel, authorization


class OAuth2PasswordBearer(BearerScheme):
    """Takes the token of OAuth 2 from `Authorization: Bearer TOKEN`.

    Args:
        tokenUrl: Where a client gets one, for documents.
        scheme_name: The name of the scheme in documents; default: that of the class.
        scopes: What tokens may allow: descriptions by name, for documents.
        description: What documents say of the scheme.
        auto_error: Whether a connection without a token is refused with 401; if not, the token is `None`.
        refreshUrl: Where a client gets a new one, for documents.
    """

    def __init__(
        self,
        tokenUrl: str,
        scheme_name: str | None = None,
        scopes: dict[str, str] | None = None,
        description: str | None = None,
        auto_error: bool = True,
        refreshUrl: str | None = None,
    ) -> None:
        flow = {"tokenUrl": tokenUrl, "refreshUrl": refreshUrl, "scopes": {**(scopes or {})}}
        password = {name: value for name, value in flow.items() if value is not None}
        model = SchemeModel(type_="oauth2", flows={"password": password}, description=description)
        super().__init__(model, scheme_name=scheme_name, auto_error=auto_error)

    async def __call__(self, request: HTTPConnection) -> str | None:
        """The token, if there is one."""
        scheme, token = authorization(request)
        if scheme.lower() != "bearer" or not token:
            self.refuse_unless_optional()
            return None
        return token
