"""Workers that return to a queue that is due: takes mail in as the far end, and prints how long after Delivery has its bus the first message
arrived, in seconds, and how many more did in the ten seconds after it.

    noworkers.py SINK_PORT READY_URL
"""
import asyncio
import os
import sys
import time
import urllib.request

sink_port, ready_url = int(sys.argv[1]), sys.argv[2]
arrived = []


async def session(reader, writer):
    async def say(line):
        writer.write(line + b"\r\n")
        await writer.drain()

    await say(b"220 sink.example ESMTP")
    while line := await reader.readline():
        command = line[:4].upper()
        if command == b"DATA":
            await say(b"354 go on")
            while await reader.readline() not in (b".\r\n", b""):
                pass
            arrived.append(time.monotonic())
            await say(b"250 ok")
        elif command == b"EHLO":
            await say(b"250-sink.example\r\n250 PIPELINING")
        elif command == b"QUIT":
            await say(b"221 bye")
            break
        else:
            await say(b"250 ok")
    writer.close()


def is_healthy():
    try:
        with urllib.request.urlopen(ready_url, timeout=1) as answer:
            return answer.read().startswith(b"Healthy")
    except OSError:
        return False


async def until(condition, seconds):
    limit = time.monotonic() + seconds
    while not await asyncio.to_thread(condition):
        if time.monotonic() > limit:
            break
        await asyncio.sleep(0.02)
    return time.monotonic()


async def main():
    await asyncio.start_server(session, "127.0.0.1", sink_port, backlog=1024)
    back = await until(is_healthy, 60)
    first = await until(lambda: arrived, 60)
    await asyncio.sleep(10)
    print(f"{max(0.0, (arrived[0] if arrived else first) - back):.2f}", len(arrived) - 1, flush=True)
    # Whoever sends goes on to.
    os._exit(0)


asyncio.run(main())
