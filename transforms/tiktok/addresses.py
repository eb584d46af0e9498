"""Which addresses a token may be sent to, and which ones can be a proxy's. Pure; no name server is asked."""

import ipaddress
import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

_HOST: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*\.?", re.I)
_LONGEST_HOST: Final = 253


def check_api_url(api_url: str) -> None:
    """Refuses a base URL that a token must not be sent to.

    Raises:
      ValueError: not http(s), without host, with user and password, or http:// to another machine; names the remedy.
    """
    parts = _split(api_url)
    if parts is None or not _is_host(parts.hostname or ""):
        raise ValueError(
            "api_url: write https://HOST/PATH/ with the name or address of a host, without query and fragment."
        )
    if parts.username is not None or parts.password is not None:
        raise ValueError("api_url: leave out user and password; TikTok takes the access token only.")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError("api_url: use https://; http:// is for loopback addresses only, as the token goes in clear.")


def check_proxy_url(proxy_url: str) -> None:
    """Refuses a setting that is not the address of a proxy.

    Raises:
      ValueError: no http(s), no host, with a path, or with user and password; names the remedy and repeats nothing.
    """
    if check_proxy(proxy_url, "proxy_url").username is not None:
        raise ValueError(
            "proxy_url: leave out user and password, as a connection is shown in logs. Let the proxy know the workers "
            "by their addresses, or set HTTPS_PROXY on the workers, which may hold both and is never shown."
        )


def check_proxy(proxy: str, source: str) -> SplitResult:
    """Returns the parts of a proxy's address; user and password are allowed.

    Args:
      proxy: the address.
      source: the setting or variable that names it, for the error.

    Raises:
      ValueError: it is none; names the source and the remedy, and repeats nothing.
    """
    parts = _split(proxy)
    if parts is None or parts.path not in ("", "/"):
        raise ValueError(f"{source}: write http://HOST:PORT or https://HOST:PORT, the address of a proxy.")
    return parts


def is_loopback(host: str) -> bool:
    """Returns whether a host is this machine itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _split(url: str) -> SplitResult | None:
    """Returns the parts of an http(s) URL with a host, and without query and fragment; None for all others."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return None
    if not url.isprintable() or " " in url:
        return None  # urlsplit passes over some of these characters
    usable = parts.scheme in ("http", "https") and host and not parts.query and not parts.fragment
    return parts if usable else None


def _is_host(host: str) -> bool:
    """Returns whether a text can be the name or address of a host. Source: RFC 1123, section 2.1."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return _HOST.fullmatch(host) is not None and len(host) <= _LONGEST_HOST
    return True
