"""Parquet files that runs have written: which there are, what is in them, what their footers say.

In: a folder of a ledger, dead letters or quarantine. Out: names, open files, ranges of columns; errors name the file.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.io.filesystem import BeamIOError

from pipeline.errors import CommandError, UsageError
from pipeline.storage import FileInfo, NoInputError, expand_patterns, is_local, local_path, open_file

# Files of rows below a folder, a folder for each UTC day of recording.
ROW_FILES = "date=*/*.parquet"


def list_paths(folder: str, pattern: str = ROW_FILES) -> list[str]:
    """Returns the names of `list_files`."""
    return [file.path for file in list_files(folder, pattern)]


def list_files(folder: str, pattern: str = ROW_FILES) -> list[FileInfo]:
    """Returns the files of a folder that match a pattern, in the order of their names; none if there is no folder.

    Raises:
      UsageError: it cannot be listed.
      CommandError: its storage cannot be reached.
    """
    try:
        return expand_patterns([f"{local_path(folder).rstrip('/')}/{pattern}"])
    except NoInputError as error:
        if isinstance(error.__cause__, OSError | BeamIOError):
            raise UsageError(str(error).replace("--input ", "")) from error
        return []
    except CommandError as error:
        raise CommandError(str(error).replace("--input ", "")) from error


@contextmanager
def open_parquet(
    path: str, dictionary: Sequence[str] = (), needed: pa.Schema | None = None
) -> Iterator[pq.ParquetFile]:
    """Opens a Parquet file of ours for the `with` block.

    Args:
      path: of the file.
      dictionary: columns that come as dictionaries.
      needed: columns that will be read; a file without them was written by something else.

    Raises:
      UsageError: it cannot be read, or a column is missing.
    """
    try:
        stream = open_file(path)
    except (OSError, BeamIOError) as error:
        raise _unreadable(path, error) from error
    with stream:
        try:
            source = path if is_local(path) else pa.PythonFile(stream, mode="r")
            file = pq.ParquetFile(source, read_dictionary=list(dictionary), pre_buffer=False)
        except (OSError, pa.ArrowException, BeamIOError) as error:
            raise _unreadable(path, error) from error
        for column in needed or ():
            if not _has(file.schema_arrow, column):
                raise UsageError(
                    f"{path} is no file of this program: it has no column {column.name} of type {column.type}. Move it "
                    "out of the folder."
                )
        yield file


def _unreadable(path: str, error: Exception) -> UsageError:
    return UsageError(
        f"{path} cannot be read ({type(error).__name__}). It is written as a whole or not at all, so something else "
        "has damaged it, or the right to read it is missing."
    )


def select_columns(schema: pa.Schema, names: Iterable[str]) -> pa.Schema:
    """Returns the part of a schema with these columns."""
    return pa.schema([schema.field(name) for name in names])


def _has(schema: pa.Schema, column: pa.Field) -> bool:
    """Returns whether there is such a column; how texts and integers are stored does not matter."""
    place = schema.get_field_index(column.name)
    if place < 0:
        return False
    kind = schema.field(place).type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    if pa.types.is_string(column.type):
        return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
    if pa.types.is_integer(column.type):
        return bool(pa.types.is_integer(kind))
    return bool(kind == column.type)


def row_group_ranges(file: pq.ParquetFile) -> list[dict[str, tuple[Any, Any]]]:
    """Returns, for each row group, the least and the greatest value of each column that has statistics."""
    return [column_ranges(file.metadata.row_group(number)) for number in range(file.metadata.num_row_groups)]


def column_ranges(group: Any) -> dict[str, tuple[Any, Any]]:
    """Returns the least and the greatest value of each column of a row group that has statistics."""
    columns = [group.column(number) for number in range(group.num_columns)]
    return {
        column.path_in_schema: (column.statistics.min, column.statistics.max)
        for column in columns
        if column.statistics is not None and column.statistics.has_min_max
    }


def epoch_ms(moment: datetime) -> int:
    """Returns UTC epoch milliseconds of a time of a file, which may come without a zone."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
