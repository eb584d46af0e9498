"""Every rule of the mapping from mParticle to TikTok: pure functions and tables, no Beam, no I/O, no clock.

A rule you look for is in `decode`, `select`, `identity` or `payload`; what is data stands in `tables`.
"""
