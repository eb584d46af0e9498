"""An invented shop.

In: a seed. Out: mParticle batches, messages and warehouse tables of its visitors.
"""

__all__ = ["generator"]
