"""Healthy mail beside a large queue: hands in messages at a steady pace, takes them in as the far end, and prints from the 250 of each to
its arrival: how many came, the median and the 99th of a hundred, in seconds.

    scale.py PORT SINK_PORT MESSAGES PER_SECOND
"""
import asyncio
import smtplib
import sys
import threading
import time

port, sink_port, messages, pace = (int(argument) for argument in sys.argv[1:])
accepted, arrived = {}, {}


async def session(reader, writer):
    async def say(line):
        writer.write(line + b"\r\n")
        await writer.drain()

    await say(b"220 sink.example ESMTP")
    while line := await reader.readline():
        command = line[:4].upper()
        if command == b"DATA":
            await say(b"354 go on")
            key = None
            while (line := await reader.readline()) not in (b".\r\n", b""):
                if line.startswith(b"Subject: "):
                    key = int(line[9:])
            arrived.setdefault(key, time.monotonic())
            await say(b"250 ok")
        elif command == b"EHLO":
            await say(b"250-sink.example\r\n250 PIPELINING")
        elif command == b"QUIT":
            await say(b"221 bye")
            break
        else:
            await say(b"250 ok")
    writer.close()


def hand_in():
    client = smtplib.SMTP("127.0.0.1", port)
    begin = time.monotonic()
    for number in range(messages):
        time.sleep(max(0.0, begin + number / pace - time.monotonic()))
        domain = f"healthy{number % 50}.example.com"
        client.sendmail(f"s{number % 7}@example.com", [f"u{number}@{domain}"], f"Subject: {number}\r\n\r\nhello\r\n")
        accepted[number] = time.monotonic()
    client.quit()


async def main():
    server = await asyncio.start_server(session, "127.0.0.1", sink_port)
    thread = threading.Thread(target=hand_in)
    thread.start()
    while thread.is_alive():
        await asyncio.sleep(0.1)
    limit = time.monotonic() + 30
    while len(arrived) < messages and time.monotonic() < limit:
        await asyncio.sleep(0.1)
    server.close()
    took = sorted(max(0.0, arrived.get(number, limit) - accepted[number]) for number in accepted)
    print(len(arrived), f"{took[len(took) // 2]:.3f}", f"{took[len(took) * 99 // 100]:.3f}")


asyncio.run(main())
