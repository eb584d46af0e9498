"""What can be set: how strict the stand-in is, which tokens are good; and what is kept of a request."""

from typing import Literal

import msgspec

from sandbox.tiktok import refusals, rules

Source = Literal["web", "app", "offline", "crm"]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How strict the stand-in is.

    Attributes:
      index_text: name the index of a bad event in the message.
      requests_per_second: above it, in a whole second, 40100; None: no limit.
      keep_bodies: keep every request's body.
      max_track_events, max_legacy_events: events in a request; above it 40061.
      max_body_bytes: above it (compressed or not) HTTP 413.
      sources: event source ids that exist, and their kind; None: every id is good for everything.
      partner_names: those that are allowed, else 40063; None: all.
    """

    index_text: bool = True
    requests_per_second: int | None = None
    keep_bodies: bool = False
    max_track_events: int = rules.MAX_EVENTS[rules.TRACK]
    max_legacy_events: int = rules.MAX_EVENTS[rules.LEGACY]
    max_body_bytes: int = 16_000_000
    sources: dict[str, Source] | None = None
    partner_names: tuple[str, ...] | None = None


class Tokens:
    """Which access tokens are good: those named, or (none named) every one that is not revoked."""

    def __init__(self, named: frozenset[str] = frozenset()) -> None:
        self._first = named
        self.reset()

    def reset(self) -> None:
        """Goes back to the start."""
        self._named, self._revoked = set(self._first), set[str]()

    def accept(self, token: str) -> None:
        """Makes a token good."""
        self._revoked.discard(token)
        if self._first:
            self._named.add(token)

    def revoke(self, token: str) -> None:
        """Makes a token bad."""
        self._revoked.add(token)

    def problem(self, token: str) -> int | None:
        """Returns TikTok's code for a bad token, None for a good one."""
        if not token:
            return refusals.EMPTY_TOKEN
        known = not self._first or token in self._named
        return None if known and token not in self._revoked else refusals.INVALID_TOKEN


class Kept(msgspec.Struct, frozen=True):
    """A request that was kept (`keep_bodies`).

    Attributes:
      at: when its header came, epoch seconds of the wall clock.
      status, code: of the reply; None as in `traffic.Replies`.
      body: as text; UTF-8, so `body.encode()` is what was sent (decompressed).
    """

    at: float
    path: str
    status: int | None
    code: int | None
    body: str
