"""Starts the sandbox: `python -m sandbox --port 8080`. Prints one line, `READY <api_url>`, once it listens.

Ends with 0 on SIGTERM and SIGINT; 1 if the port is taken; 2 for wrong usage.
"""

import argparse
import asyncio
import contextlib
import ctypes
import gc
import ipaddress
import logging
import os
import signal
import sys
from collections.abc import Sequence

from sandbox.tiktok import Admin, Listener, Service, Settings, Tokens

# Requests make many short-lived lists and hardly any cycles; with the default of 700 the collector takes a tenth of
# the time.
_GC_THRESHOLD = 100_000

# glibc gives memory back to the kernel and takes it again: hundreds of page faults a request, up to 2 ms on a virtual
# machine. Numbers: malloc.h of glibc.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 1 << 28

_LAST_PORT = 65_535


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the sandbox until a signal stops it; returns the exit code."""
    options = _parser().parse_args(argv)
    if not options.allow_remote and not _is_loopback(options.host):
        sys.stderr.write(f"--host {options.host} is no loopback address; the sandbox has no secrets to keep apart\n")
        return 2
    logging.basicConfig(level=options.log_level.upper(), format="%(levelname)s %(name)s: %(message)s")
    try:
        asyncio.run(_serve(options))
    except OSError as error:
        sys.stderr.write(f"cannot listen on {options.host}:{options.port}: {error.strerror}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("sandbox", description="A stand-in for TikTok's Events API. Control: /_sandbox/.")
    parser.add_argument("--host", default="127.0.0.1", help="default: 127.0.0.1; only loopback addresses")
    parser.add_argument("--allow-remote", action="store_true", help="allow other addresses, for containers")
    parser.add_argument("--port", type=_port, default=0, help="0, the default: a free one")
    parser.add_argument("--token", action="append", default=[], help="an access token that is good; default: any")
    parser.add_argument("--keep-bodies", action="store_true", help="keep every request's body for /_sandbox/bodies")
    parser.add_argument(
        "--until-stdin-closes",
        action="store_true",
        help="end when standard input ends: with the process that started it",
    )
    parser.add_argument("--log-level", default="warning", choices=["debug", "info", "warning", "error"])
    return parser


def _port(text: str) -> int:
    """Returns a port number; argparse shows the text of the error."""
    if not text.isascii() or not text.isdecimal() or int(text) > _LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: a number from 0 (a free one) to {_LAST_PORT} is needed")
    return int(text)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _serve(options: argparse.Namespace) -> None:
    service = Service(Settings(keep_bodies=options.keep_bodies), Tokens(frozenset(options.token)))
    listener = Listener(Admin(service))
    port = await listener.start(options.host, options.port)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if options.until_stdin_closes:

        def read_input() -> None:
            if not os.read(sys.stdin.fileno(), 1024):
                stop.set()

        loop.add_reader(sys.stdin, read_input)
    _tune_memory()
    host = f"[{options.host}]" if ":" in options.host else options.host
    sys.stdout.write(f"READY http://{host}:{port}/open_api/v1.3/\n")
    sys.stdout.flush()
    await stop.wait()
    listener.stop()


def _tune_memory() -> None:
    """Keeps the collector and the allocator from doing the same work again for every request of 1 MB."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GC_THRESHOLD)
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # a C library without it
            mallopt = ctypes.CDLL(None).mallopt
            mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
            mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES // 8)


if __name__ == "__main__":
    sys.exit(main())
