"""Joins a room, and says who was heard there and for how many packets. Arguments: URL, token."""

import asyncio
import os
import sys

from livekit import rtc


async def enter(url, token, heard):
    for left in reversed(range(3)):  # On a busy machine it gives up now and then.
        room = rtc.Room()

        @room.on("track_subscribed")
        def subscribed(track, publication, participant):
            heard.put_nowait((track, participant.identity))

        try:
            await room.connect(url, token)
            return room
        except Exception:
            if not left:
                raise


async def packets(track):
    stats = await track.get_stats()
    return max((e.inbound_rtp.received.packets_received for e in stats if e.HasField("inbound_rtp")), default=0)


async def main(url, token):
    heard = asyncio.Queue()
    room = await enter(url, token, heard)
    print("connected", flush=True)
    track, identity = await asyncio.wait_for(heard.get(), 20)
    most = 0
    for _ in range(30):
        most = max(most, await packets(track))
        if most >= 25:
            break
        await asyncio.sleep(0.1)
    print(identity, most, flush=True)
    await room.disconnect()


asyncio.run(main(*sys.argv[1:]))
os._exit(0)  # Its threads abort the process now and then, where Python ends in the usual way.
