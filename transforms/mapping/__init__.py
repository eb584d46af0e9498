"""Every rule of the mapping from mParticle to TikTok: pure functions and tables, no Beam, no I/O, no clock.

Where a rule stands, in the order in which an event meets them:

- `decode`: what is a message, what is an event, what is its id; `wire` lists the fields that are read, `salvage` reads
  what does not fit them, `context` what a batch says about all its events (input, identities, consent);
- `select`: which events are sent, and why the others are not;
- `identity`: who the event is about, hashed; `normalise` (names, places, addresses) and `phone` say what is hashed;
- `payload`: what TikTok gets; `page` (URL, click id), `commerce` (contents, value, currency), `forms` (the JSON);
- `custom`: what custom mappings make of an event, as part of decoding; `matching` and `index` say when they match,
  `resolve` and `sources` where a parameter comes from, `parameters` which ones TikTok takes, `typed` in which type,
  `personal` what is not sent in clear, `wide` what is read for them, and `explain` why they did or did not;
- `convert`: the four steps in a row.

What is data stands in `tables`; `values` knows the forms in which mParticle writes numbers, ids and nothing.
"""
