"""Where connections come from and go to, under Twisted's names."""

from dataclasses import dataclass, field
from os import fsdecode
from typing import Any


@dataclass(frozen=True)
class IPv4Address:
    """An IPv4 address with a port; type is "TCP" or "UDP"."""

    type: str
    host: str
    port: int


@dataclass(frozen=True)
class IPv6Address:
    """An IPv6 address with a port; type is "TCP" or "UDP"."""

    type: str
    host: str
    port: int
    flowInfo: int = field(default=0, compare=False)
    scopeID: "int | str" = field(default=0, compare=False)


@dataclass(frozen=True)
class HostnameAddress:
    """A name that has still to be looked up, with a port."""

    hostname: bytes
    port: int


@dataclass(frozen=True)
class UNIXAddress:
    """The path of a Unix socket, as bytes; None: it has none."""

    name: "bytes | None"

    def __repr__(self) -> str:
        return f"UNIXAddress({None if self.name is None else fsdecode(self.name)!r})"


def of_endpoint(endpoint: str, kind: str = "TCP") -> "IPv4Address | IPv6Address | UNIXAddress":
    """The address in an endpoint of the library."""
    scheme, rest = endpoint.split("://", 1)
    if not scheme.startswith(("tcp", "udp")):
        return UNIXAddress(rest.encode(errors="surrogateescape") or None)
    host, port = rest.rsplit(":", 1)
    return IPv6Address(kind, host[1:-1], int(port)) if host.startswith("[") else IPv4Address(kind, host, int(port))


def of_socket(name: Any, kind: str = "TCP") -> "IPv4Address | IPv6Address | UNIXAddress":
    """The address that getsockname or getpeername gives."""
    if not isinstance(name, tuple):
        name = name.encode(errors="surrogateescape") if isinstance(name, str) else name
        return UNIXAddress(name or None)
    return IPv4Address(kind, *name) if len(name) == 2 else IPv6Address(kind, *name)
