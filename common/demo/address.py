"""The demo's address: its socket, the hosts that requests may name, and the addresses to print."""

from __future__ import annotations

import ipaddress
import socket


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on `host` and `port`, on a free port for 0. Raises OSError and UnicodeError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    both = _is_wildcard(host) and family == socket.AF_INET6 and socket.has_dualstack_ipv6()
    return socket.create_server((host, port), family=family, dualstack_ipv6=both)


def accepted_hosts(host: str) -> list[str]:
    """Values of the header `Host`, without the port, of requests to a server that listens on `host`.

    A page of another site that has its own name resolved to this machine names that one, and is refused.
    """
    hosts = ["127.0.0.1", "localhost", "[::1]", _in_url(host).lower()]
    if _is_wildcard(host):
        name = socket.gethostname().lower()
        hosts += [*map(_in_url, own_addresses()), name, f"{name.split('.')[0]}.local"]
    return list(dict.fromkeys(hosts))


def urls(host: str, port: int) -> list[str]:
    """Addresses of the page, that of this machine first; for a wildcard also those for other machines."""
    hosts = ["127.0.0.1", *own_addresses()] if _is_wildcard(host) else [host]
    if host == "0.0.0.0":
        hosts = [address for address in hosts if ":" not in address]
    return [f"http://{_in_url(address)}:{port}/" for address in dict.fromkeys(hosts)]


def own_addresses() -> list[str]:
    """Addresses of this machine's network interfaces, without the link-local ones of IPv6."""
    import psutil  # here, as on Linux it needs `resource`, which not every Python has

    families = (socket.AF_INET, socket.AF_INET6)
    addresses = [
        address.address
        for interface in psutil.net_if_addrs().values()
        for address in interface
        if address.family in families and "%" not in address.address
    ]
    return sorted(addresses, key=lambda address: ":" in address)


def _is_wildcard(host: str) -> bool:
    """Whether `host` means every interface; an empty one does."""
    try:
        return host == "" or ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
