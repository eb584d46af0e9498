"""TikTok's Events API over HTTP: request, reply, classes of codes, retries and the budget of requests. No Beam."""
