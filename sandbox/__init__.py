"""A stand-in for TikTok's Events API, and a generator of mParticle batches to try the pipeline with."""
