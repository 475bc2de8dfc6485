"""Joins a room, and says who was heard there and for how many frames. Arguments: URL, token."""

import asyncio
import os
import sys

from livekit import rtc


async def main(url, token):
    room = rtc.Room()
    heard = asyncio.Queue()

    @room.on("track_subscribed")
    def subscribed(track, publication, participant):
        heard.put_nowait((track, participant.identity))

    await room.connect(url, token)
    print("connected", flush=True)
    track, identity = await asyncio.wait_for(heard.get(), 20)
    await asyncio.sleep(0.9)
    stats = await track.get_stats()
    packets = [entry.inbound_rtp.received.packets_received for entry in stats if entry.HasField("inbound_rtp")]
    print(identity, max(packets, default=0), flush=True)
    await room.disconnect()


asyncio.run(main(*sys.argv[1:]))
os._exit(0)  # Its threads abort the process now and then, where Python ends in the usual way.
