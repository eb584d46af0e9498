"""Servers on loopback that do whatever a test says, down to the bytes: TikTok's stand-in, and a proxy for CONNECT."""

import contextlib
import datetime
import ipaddress
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


def read_request(conn: socket.socket) -> bytes:
    """Returns one request, head and body; empty if the client has closed."""
    received = b""
    while b"\r\n\r\n" not in received:
        piece = conn.recv(65536)
        if not piece:
            return b""
        received += piece
    head = received.partition(b"\r\n\r\n")[0].lower()
    length = len(head) + 4
    if b"content-length: " in head:
        length += int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(received) < length:
        received += conn.recv(65536)
    return received


def http_reply(body: bytes, status: str = "200 OK", headers: str = "") -> bytes:
    """Returns a reply with its length."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


def reset(conn: socket.socket) -> None:
    """Closes with a reset instead of an end of data."""
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    conn.close()


class Server:
    """Accepts connections on loopback and treats each, in a thread of its own, as the test says.

    Attributes:
      port: where it listens.
      connections: how many it has accepted.
      requests: what `answer` has read, and whatever a test adds.
      over: set when the server ends.
    """

    def __init__(self, behave: Callable[["Server", socket.socket], None], tls: ssl.SSLContext | None = None) -> None:
        self.connections = 0
        self.requests: list[bytes] = []
        self.over = threading.Event()
        self._behave, self._tls = behave, tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                conn, _ = self._listener.accept()
                self.connections += 1
                self._threads.append(threading.Thread(target=self._serve, args=(conn,)))
                self._threads[-1].start()

    def _serve(self, conn: socket.socket) -> None:
        conn.settimeout(5)
        with contextlib.suppress(OSError):
            if self._tls:
                conn = self._tls.wrap_socket(conn, server_side=True)
            self._behave(self, conn)
        conn.close()

    def answer(self, conn: socket.socket, *replies: bytes) -> None:
        """Answers the requests of a connection, the last reply again and again."""
        sent = 0
        while request := read_request(conn):
            self.requests.append(request)
            conn.sendall(replies[min(sent, len(replies) - 1)])
            sent += 1

    def tunnel(self, conn: socket.socket) -> None:
        """Does what CONNECT asks for; every name is this machine. `requests` has the heads."""
        head = read_request(conn)
        self.requests.append(head)
        port = int(head.split(b" ")[1].rpartition(b":")[2])
        with socket.create_connection(("127.0.0.1", port)) as onward:
            for each in (conn, onward):
                # The head and the body of a small request come by themselves: neither waits for the other here.
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            conn.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_pump, args=(onward, conn))
            back.start()
            _pump(conn, onward)
            back.join(10)

    def close(self) -> None:
        """Ends, when the clients have."""
        self.over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)


def _pump(source: socket.socket, target: socket.socket) -> None:
    """Hands on what comes until it ends, and then the end."""
    source.settimeout(10)
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


class Authority:
    """A certificate authority, and one server's certificate by it.

    Attributes:
      ca_path: PEM file of the authority's certificate.
      server_tls: for the server's side.

    Args:
      folder: where the files are written.
      names: of the server, beside 127.0.0.1.
    """

    def __init__(self, folder: Path, *names: str) -> None:
        ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        issuer = _name("An authority of tests")
        ca = _certificate(issuer, issuer, ca_key.public_key())
        ca = ca.add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        # Python 3.13 asks for what RFC 5280 does: what a key is for, and which key signed (`VERIFY_X509_STRICT`).
        ca = ca.add_extension(_KEY_USAGE_OF_AUTHORITY, True)
        alternatives: list[x509.GeneralName] = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        alternatives += map(x509.DNSName, names)
        leaf = _certificate(_name("A server of tests"), issuer, key.public_key())
        leaf = leaf.add_extension(x509.SubjectAlternativeName(alternatives), False)
        leaf = leaf.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), False)
        self.ca_path = folder / "ca.pem"
        self.ca_path.write_bytes(ca.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        both = folder / "server.pem"
        both.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + leaf.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        )
        self.server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server_tls.load_cert_chain(both)


_KEY_USAGE_OF_AUTHORITY = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])


def _certificate(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), False)
    )
