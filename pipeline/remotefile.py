"""A small file of Cloud Storage, read with Beam's file system. Loaded only for a `gs://` path."""

from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems
from google.api_core.exceptions import GoogleAPIError
from google.auth.exceptions import GoogleAuthError


def read_remote(path: str) -> bytes:
    """Returns the content of a `gs://` object.

    Raises:
      OSError: it cannot be read; the text says what to look at.
    """
    try:
        with FileSystems.open(path) as file:
            content: bytes = file.read()
    except (BeamIOError, GoogleAPIError, GoogleAuthError, ValueError) as error:
        kind = type(error).__name__
        raise OSError(f"{kind}; look at the name, the credentials and the right to read objects") from error
    return content
