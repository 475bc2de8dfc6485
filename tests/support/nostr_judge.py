"""Reads the stored events that fit a filter, verifies each, and prints them as a list. Arguments: URL, filter."""

import asyncio
import json
import sys

from aionostr.event import Event
from aionostr.relay import Relay


def genuine(event):
    fields = (event.pubkey, event.created_at, event.kind, event.tags, event.content)
    return event.id == Event.compute_id(*fields) and event.verify()


async def main(url, wanted):
    async with Relay(url, connect_timeout=20) as relay:
        events = await relay.subscribe("judge", json.loads(wanted))
        found = []
        while event := await asyncio.wait_for(events.get(), 20):
            if not genuine(event):
                sys.exit(f"forged: {event}")
            found.append(event.to_json_object())
    print(json.dumps(found))


asyncio.run(main(*sys.argv[1:]))
