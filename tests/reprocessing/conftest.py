"""Fixtures of the suites that kill runs and run windows again."""

from ledger_shop import orders, sandbox_process, shop  # noqa: F401  # fixtures
