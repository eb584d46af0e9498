"""Names of the counters: the report of a run is made of these, so they are part of its public interface.

Each unit (an event, or a message or file without readable events) is counted once in `units` when it enters, and once
in `outcome:…` when it leaves.
"""

# Namespace of all counters of this project.
NAMESPACE = "tiktok_events"

MESSAGES = "messages"
UNITS = "units"
REQUESTS = "requests"
RETRIES = "retries"

# Beam's name for time lost to throttling: Dataflow reads it, so that it does not add workers into a limit.
THROTTLED = "cumulativeThrottlingSeconds"
