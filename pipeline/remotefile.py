"""A small file of Cloud Storage, read with Google's client library. Loaded only for a `gs://` path."""

import requests
from google.api_core.exceptions import GoogleAPIError, NotFound
from google.auth.exceptions import GoogleAuthError
from google.cloud.storage import Client  # type: ignore[import-untyped]
from google.cloud.storage.retry import DEFAULT_RETRY  # type: ignore[import-untyped]

# A person waits. The library would repeat a refused connection for two minutes.
_AGAIN = DEFAULT_RETRY.with_timeout(20.0)
_TIMEOUT_SECS = (5.0, 30.0)


def read_remote(path: str) -> bytes:
    """Returns the content of a `gs://` object.

    Raises:
      FileNotFoundError: there is no such bucket or object.
      OSError: it cannot be read; the text says what to look at.
    """
    bucket, _, name = path.removeprefix("gs://").partition("/")
    try:
        content: bytes = Client().bucket(bucket).blob(name).download_as_bytes(timeout=_TIMEOUT_SECS, retry=_AGAIN)
    except NotFound as error:
        raise FileNotFoundError("no such object; look at the name (`gcloud storage ls`)") from error
    except (GoogleAPIError, GoogleAuthError, requests.RequestException, ValueError) as error:
        kind = type(error).__name__
        raise OSError(f"{kind}; look at the name, the credentials and the right to read objects") from error
    return content
