"""What `check` finds, as its `--json` prints it."""

import msgspec

from pipeline.errors import Finding
from pipeline.sources import InputReport
from transforms.connection import Connection, ReplyClass
from transforms.vocabulary import Form


class ProbeReply(msgspec.Struct, frozen=True):
    """TikTok's answer to one test event.

    Attributes:
      form: the request that carried it.
      path: the endpoint, relative to `api_url`.
      accepted: whether TikTok accepted it.
      reply_class: what the answer means.
      code: TikTok's code, if it answered one.
      name: TikTok's name of the code, if it is known.
      message: TikTok's message without values.
      request_id: TikTok's log id, to be quoted to its support.
      remedy: what to do; None if it was accepted.
    """

    form: Form
    path: str
    accepted: bool
    reply_class: ReplyClass
    code: int | None
    name: str | None
    message: str | None
    request_id: str | None
    remedy: str | None


class TokenState(msgspec.Struct, frozen=True):
    """Whether the access token can be read; the token itself is not in here.

    Attributes:
      reference: as the connection has it.
      resolved: whether a token is there.
      characters: its length.
      problem: why there is none, and what to do.
    """

    reference: str | None
    resolved: bool
    characters: int | None = None
    problem: str | None = None


class CheckReport(msgspec.Struct, frozen=True):
    """What `check` found, as `--json` prints it.

    Attributes:
      ok: exit code 0; warnings do not count.
      connection: all settings, without the token; None if the connection cannot be used.
      paths: the endpoints that events go to.
      token: whether it can be read; None if the connection cannot be used.
      problems: what forbids the use of the connection.
      warnings: what to consider.
      online: TikTok's answers; None without `--online`.
      inputs: what was seen of the files of `--input`; None without them.
    """

    ok: bool
    connection: Connection | None = None
    paths: list[str] = []
    token: TokenState | None = None
    problems: tuple[Finding, ...] = ()
    warnings: tuple[Finding, ...] = ()
    online: list[ProbeReply] | None = None
    inputs: list[InputReport] | None = None
