"""The way to TikTok: through which proxy, and which certificate authorities are trusted.

In: a connection and the environment of this process. Out: a `Route`, worked out once for each `EventsApi`. Settings of
the connection win over the environment, because a connection that names a proxy means this one on every worker.

* Proxy: `proxy_url`, else the environment as `requests` reads it (`HTTPS_PROXY`, `ALL_PROXY`, each in small letters
  too, and on some systems the system's settings), but for what `NO_PROXY` names. `NO_PROXY` does not apply to
  `proxy_url`. A loopback address is never reached through a proxy: a stand-in on this machine has none in front of it.
* Authorities: `ca_file`, else the file or folder of `REQUESTS_CA_BUNDLE` or `CURL_CA_BUNDLE`, else the file of
  `SSL_CERT_FILE`, else the list that `requests` brings (certifi). Each of them stands in place of the others.
"""

import os
import ssl
from typing import Final
from urllib.parse import urlsplit

import msgspec
import requests

from transforms.connection import Connection
from transforms.tiktok.addresses import check_proxy, check_proxy_url, is_loopback

PROXY_REMEDY: Final = "behind a company's proxy set proxy_url, or HTTPS_PROXY on the workers"
CA_REMEDY: Final = (
    "if a company's proxy or gateway opens TLS, name its certificate authority in ca_file, or in REQUESTS_CA_BUNDLE or "
    "SSL_CERT_FILE on the workers"
)

# As `requests` looks for them, for https addresses.
_PROXY_VARIABLES: Final = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
_CA_VARIABLES: Final = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


class Route(msgspec.Struct, frozen=True):
    """How requests reach TikTok.

    Attributes:
      proxy: address of the proxy, None if there is none. From the environment it may hold a user and a password.
      proxy_source: the setting or variable that names it.
      ca_path: file or folder of the trusted authorities, None for the list of `requests`.
      ca_source: the setting or variable that names it.
    """

    proxy: str | None = None
    proxy_source: str | None = None
    ca_path: str | None = None
    ca_source: str | None = None

    def __repr__(self) -> str:
        """Returns its description, which has no password."""
        return f"Route({self.description!r})"

    @property
    def description(self) -> str:
        """Returns proxy and authorities, and where they are set; without user and password."""
        return f"{self.proxy_description}; {self.ca_description}"

    @property
    def proxy_description(self) -> str:
        """Returns the proxy, and where it is set; without user and password."""
        if self.proxy is None:
            return "without a proxy"
        return f"through the proxy {_host_and_port(self.proxy)} of {self.proxy_source}"

    @property
    def ca_description(self) -> str:
        """Returns the trusted authorities, and where they are set."""
        if self.ca_path is None:
            return "trusting the authorities of certifi"
        return f"trusting the authorities in {self.ca_path} of {self.ca_source}"


def find_route(connection: Connection) -> Route:
    """Returns the route of a connection's requests, as settings and environment have it.

    Raises:
      ValueError: a proxy or the authorities cannot be used; names the setting or variable, and the remedy.
    """
    proxy, proxy_source = _proxy(connection)
    ca_path, ca_source = _authorities(connection)
    return Route(proxy=proxy, proxy_source=proxy_source, ca_path=ca_path, ca_source=ca_source)


def _proxy(connection: Connection) -> tuple[str | None, str | None]:
    """Returns the proxy and where it is set."""
    if is_loopback(urlsplit(connection.api_url).hostname or ""):
        return None, None
    if connection.proxy_url is not None:
        check_proxy_url(connection.proxy_url)
        return connection.proxy_url, "proxy_url"
    proxies = requests.utils.get_environ_proxies(connection.api_url)
    proxy = requests.utils.select_proxy(connection.api_url, proxies)
    if proxy is None:
        return None, None
    # A variable without a scheme is common ("proxy.example:3128"), and `requests` takes it for http.
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    source = next((name for name in _PROXY_VARIABLES if os.environ.get(name)), "the system's settings")
    check_proxy(proxy, source)
    return proxy, source


def _host_and_port(proxy: str) -> str:
    return urlsplit(proxy).netloc.rpartition("@")[2]


def _authorities(connection: Connection) -> tuple[str | None, str | None]:
    """Returns where the trusted authorities are, and where that is set."""
    if connection.ca_file is not None:
        path, source = connection.ca_file, "ca_file"
    else:
        source = next((name for name in _CA_VARIABLES if os.environ.get(name)), "")
        path = os.environ.get(source, "")
        if not path:
            return None, None
    if os.path.isdir(path) and source in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        return path, source  # OpenSSL looks into it at each connection
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cafile=path)
        certificates = context.cert_store_stats()["x509"]
    except ssl.SSLError:
        certificates = 0
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or type(error).__name__
        raise ValueError(
            f"{source}: {path!r} cannot be read ({cause}). Name a file with certificate authorities in PEM form that "
            "exists on every worker and that the user of this process may read."
        ) from None
    if not certificates:
        raise ValueError(
            f"{source}: {path!r} holds no certificate in PEM form (-----BEGIN CERTIFICATE-----). "
            "Export the authority's certificate as PEM."
        )
    return path, source
