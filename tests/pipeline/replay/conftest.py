"""Fixtures of replays."""

from ledger_shop import orders, sandbox_process, shop  # noqa: F401  # fixtures
