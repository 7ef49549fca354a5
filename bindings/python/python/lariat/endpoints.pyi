from typing import Any, Protocol, TypeVar

from lariat.defer import Deferred
from lariat.internet import Reactor, _Path, _Port
from lariat.protocol import Factory

_P = TypeVar("_P")

class _ClientEndpoint(Protocol):
    def connect(self, protocolFactory: Factory) -> Deferred[Any]: ...

class _ServerEndpoint(Protocol):
    def listen(self, protocolFactory: Factory) -> Deferred[_Port]: ...

class TCP4ClientEndpoint:
    def __init__(
        self,
        reactor: Reactor,
        host: str,
        port: int,
        timeout: float | None = 30,
        bindAddress: tuple[str, int] | None = None,
    ) -> None: ...
    def connect(self, protocolFactory: Factory) -> Deferred[Any]: ...

class TCP6ClientEndpoint(TCP4ClientEndpoint): ...

class HostnameEndpoint(TCP4ClientEndpoint):
    def __init__(
        self,
        reactor: Reactor,
        host: str | bytes,
        port: int,
        timeout: float | None = 30,
        bindAddress: str | tuple[str, int] | None = None,
        attemptDelay: float | None = None,
    ) -> None: ...

class UNIXClientEndpoint:
    def __init__(self, reactor: Reactor, path: _Path, timeout: float | None = 30, checkPID: int = 0) -> None: ...
    def connect(self, protocolFactory: Factory) -> Deferred[Any]: ...

class TCP4ServerEndpoint:
    def __init__(self, reactor: Reactor, port: int, backlog: int = 50, interface: str = "") -> None: ...
    def listen(self, protocolFactory: Factory) -> Deferred[_Port]: ...

class TCP6ServerEndpoint(TCP4ServerEndpoint): ...

class UNIXServerEndpoint:
    def __init__(
        self, reactor: Reactor, address: _Path, backlog: int = 50, mode: int = 0o666, wantPID: int = 0
    ) -> None: ...
    def listen(self, protocolFactory: Factory) -> Deferred[_Port]: ...

def connectProtocol(endpoint: _ClientEndpoint, protocol: _P) -> Deferred[_P]: ...
def serverFromString(reactor: Reactor, description: str) -> _ServerEndpoint: ...
def clientFromString(reactor: Reactor, description: str) -> _ClientEndpoint: ...
