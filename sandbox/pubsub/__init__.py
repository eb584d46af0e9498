"""A stand-in for Cloud Pub/Sub over gRPC.

In: published messages. Out: the same messages, leased until they are acknowledged; counts of both.
"""

from sandbox.pubsub.publisher import PubSub

__all__ = ["PubSub"]
