"""The price file of `run --dry_run`: what Dataflow asks, from when that is, and what one worker is expected to do."""

import datetime
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from pipeline.errors import UsageError
from pipeline.storage import local_path

# Beside this module, where an operator finds it; --prices names another.
DEFAULT_PRICES = Path(__file__).with_name("dataflow_prices.yaml")

Price = Annotated[float, Meta(ge=0)]
Size = Annotated[float, Meta(gt=0)]


class Worker(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The machine of one worker."""

    vcpus: Size
    memory_gb: Size
    disk_gb: Price


class Prices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Prices of one region on one day.

    Attributes:
      date: when they were looked up.
      currency: of all prices.
      vcpu_hour, memory_gb_hour, disk_gb_hour: for an hour of one of each, of a batch worker.
      shuffle_gb: for a GB through Dataflow Shuffle.
      events_per_second: what one worker reads and maps.
      startup_secs: from the start of a job to its first event.
    """

    date: datetime.date
    region: str
    currency: str
    vcpu_hour: Price
    memory_gb_hour: Price
    disk_gb_hour: Price
    shuffle_gb: Price
    worker: Worker
    events_per_second: Size
    startup_secs: Price

    def worker_hour(self) -> float:
        """Returns the price of one worker for an hour."""
        worker = self.worker
        memory, disk = worker.memory_gb * self.memory_gb_hour, worker.disk_gb * self.disk_gb_hour
        return worker.vcpus * self.vcpu_hour + memory + disk


def read_prices(path: str | None = None) -> Prices:
    """Returns the prices of a YAML file.

    Args:
      path: the file; None: the one that comes with this program.

    Raises:
      UsageError: it cannot be read, or something in it is missing, unknown or of the wrong type.
    """
    name = path or str(DEFAULT_PRICES)
    try:
        return msgspec.yaml.decode(Path(local_path(name)).read_bytes(), type=Prices)
    except OSError as error:
        raise UsageError(f"--prices {name}: cannot be read: {error.strerror}.") from error
    except msgspec.ValidationError as error:
        raise UsageError(f"--prices {name}: {error}. {DEFAULT_PRICES.name} shows what is needed.") from error
    except msgspec.DecodeError as error:
        raise UsageError(f"--prices {name}: this is not YAML.") from error
