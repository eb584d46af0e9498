"""Fixtures of ledgers, on a disk and in a bucket."""

from collections.abc import Iterator

import gcs_server
import pytest
from ledger_shop import orders, sandbox_process, shop, worked, worked_once  # noqa: F401  # fixtures


@pytest.fixture(scope="session")
def bucket() -> Iterator[str]:
    """Runs a server that speaks Cloud Storage's protocol, with a bucket in it."""
    from apache_beam.internal.gcp.auth import _Credentials

    with pytest.MonkeyPatch.context() as patch:
        try:
            with gcs_server.running() as url:
                patch.setenv("STORAGE_EMULATOR_HOST", url)
                # Anonymous at once: Beam looks for credentials for half a minute, whatever its options say.
                patch.setattr(_Credentials, "_credentials_init", True)
                from google.cloud.storage import Client

                Client.create_anonymous_client().create_bucket("tiktok-ledger")
                yield "gs://tiktok-ledger"
        except gcs_server.ServerUnavailableError as error:
            pytest.skip(str(error))
