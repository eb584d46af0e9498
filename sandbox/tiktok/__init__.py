"""A stand-in for TikTok's Events API.

In: requests as TikTok takes them, and faults that are to happen. Out: replies as TikTok gives them, and what it
accepted.
"""

from sandbox.tiktok.admin import Admin
from sandbox.tiktok.control import Sandbox
from sandbox.tiktok.server import Listener
from sandbox.tiktok.service import Service
from sandbox.tiktok.settings import Settings, Tokens

__all__ = ["Admin", "Listener", "Sandbox", "Service", "Settings", "Tokens"]
