#!/usr/bin/env python3
"""The far ends of hostile.sh, and its client, in one process on loopback addresses of a network namespace.

DNS on 127.0.0.1:53: tarpitN.example has one host on an address of its own; deadN.example has 1,000 hosts whose addresses
are never answered; healthyN.example and newN.example lead to a far end that takes everything, the former at one address,
the latter each at its own. Tarpits greet after five minutes (even N) or
at one octet a second (odd N).

  hostile.py PORT TARPITS DEAD SECONDS

hands the server on 127.0.0.1:PORT three messages to each hostile domain, then each half second one to a healthy domain that has
had mail before and one to a new one, and prints for these two, a line each: sent, arrived, and the seconds from the 250 to the
arrival: median, 95 of 100, slowest.
"""
import asyncio
import os
import statistics
import struct
import sys
import time

TARPIT_NETWORK, HEALTHY_NETWORK, HEALTHY = "127.1", "127.9", "127.9.0.1"
HEALTHY_DOMAINS = 20
A, MX, OPT = 1, 15, 41

arrived = {}


def name(text):
    return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".") if label) + b"\0"


def record(owner, kind, data):
    return name(owner) + struct.pack("!HHIH", kind, 1, 300, len(data)) + data


def answers(question, kind):
    """Records and whether the name exists; None is silence."""
    label = question.split(".")[0]
    number = int("".join(c for c in label if c.isdigit()) or 0)
    if label.startswith("dead"):
        if kind != MX:
            return [], True
        return [record(question, MX, struct.pack("!H", i) + name(f"h{i}.silent{number}.example")) for i in range(1000)], True
    if ".silent" in question:
        return None
    if kind == MX and label.startswith(("tarpit", "healthy", "new")):
        return [record(question, MX, struct.pack("!H", 10) + name(f"mx.{question}"))], True
    if label == "mx":
        owner = question.split(".")[1]
        number = int("".join(c for c in owner if c.isdigit()) or 0)
        network = HEALTHY_NETWORK if owner.startswith("new") else TARPIT_NETWORK
        address = HEALTHY if owner.startswith("healthy") else f"{network}.{number // 250 + 1}.{number % 250 + 1}"
        return ([record(question, A, bytes(int(part) for part in address.split(".")))] if kind == A else []), True
    return [], False


def reply(packet, limit):
    labels, at = [], 12
    while packet[at]:
        labels.append(packet[at + 1:at + 1 + packet[at]].decode("ascii", "replace").lower())
        at += 1 + packet[at]
    kind, = struct.unpack("!H", packet[at + 1:at + 3])
    found = answers(".".join(labels), kind)
    if found is None:
        return None
    records, exists = found
    body = packet[12:at + 5] + b"".join(records)
    truncated = len(body) + 12 > limit
    if truncated:
        records, body = [], packet[12:at + 5]
    flags = 0x8580 | (0x0200 if truncated else 0) | (0 if exists else 3)
    return packet[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, 0) + body


class Dns(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, peer):
        answer = reply(data, 1232)
        if answer is not None:
            self.transport.sendto(answer, peer)


async def dns_over_tcp(reader, writer):
    try:
        while True:
            length, = struct.unpack("!H", await reader.readexactly(2))
            answer = reply(await reader.readexactly(length), 65535)
            if answer is not None:
                writer.write(struct.pack("!H", len(answer)) + answer)
                await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def far_end(reader, writer):
    """One port for all addresses: who was called decides what it is."""
    try:
        address = writer.get_extra_info("sockname")[0]
        if address.startswith(TARPIT_NETWORK + "."):
            number = int(address.split(".")[3]) - 1
            if number % 2 == 0:
                await asyncio.sleep(300)
            for octet in b"220-" + b"slow " * 400:
                writer.write(bytes([octet]))
                await writer.drain()
                await asyncio.sleep(1)
            return
        await take(reader, writer)
    except ConnectionError:
        pass
    finally:
        writer.close()


async def take(reader, writer):
    writer.write(b"220 healthy.example ESMTP\r\n")
    in_data = False
    while line := await reader.readline():
        if in_data:
            if line.lower().startswith(b"subject: "):
                arrived.setdefault(line[9:].strip().decode(), time.monotonic())
            if line != b".\r\n":
                continue
            in_data = False
            writer.write(b"250 2.0.0 Taken\r\n")
            continue
        verb = line[:4].upper()
        if verb == b"DATA":
            in_data = True
            writer.write(b"354 Go on\r\n")
        elif verb == b"QUIT":
            writer.write(b"221 Bye\r\n")
            return
        elif verb == b"EHLO":
            writer.write(b"250-healthy.example\r\n250 PIPELINING\r\n")
        else:
            writer.write(b"250 2.0.0 Ok\r\n")


class Session:
    def __init__(self, port):
        self.port = port

    async def __aenter__(self):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        await self.answer()
        await self.say("EHLO client.example")
        return self

    async def __aexit__(self, *_):
        self.writer.close()

    async def answer(self):
        while True:
            line = await self.reader.readline()
            if line[3:4] != b"-":
                if not line.startswith((b"2", b"3")):
                    raise RuntimeError(f"the server answered: {line!r}")
                return

    async def say(self, command):
        self.writer.write(command.encode() + b"\r\n")
        await self.answer()

    async def send(self, recipients, token):
        await self.say("MAIL FROM:<sender@client.example>")
        for recipient in recipients:
            await self.say(f"RCPT TO:<{recipient}>")
        await self.say("DATA")
        await self.say(f"From: <sender@client.example>\r\nSubject: {token}\r\n\r\nOne line.\r\n.")


async def main(port, tarpits, dead, seconds):
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(Dns, ("127.0.0.1", 53))
    await asyncio.start_server(dns_over_tcp, "127.0.0.1", 53)
    await asyncio.start_server(far_end, "0.0.0.0", 25, backlog=1000)
    while True:
        try:
            async with Session(port) as first:
                break
        except OSError:
            await asyncio.sleep(0.2)

    async with Session(port) as session:
        # What answered lately is known to the server, as it is after any day of ordinary mail.
        for i in range(HEALTHY_DOMAINS):
            await session.send([f"user@healthy{i}.example"], f"warm{i}")
        while len(arrived) < HEALTHY_DOMAINS:
            await asyncio.sleep(0.1)
        for turn in range(3):
            for kind, count in (("tarpit", tarpits), ("dead", dead)):
                for i in range(count):
                    await session.send([f"user{turn}@{kind}{i}.example"], f"hostile-{turn}-{kind}{i}")

    accepted = {"known": {}, "new": {}}
    until = time.monotonic() + seconds
    i = 0
    while time.monotonic() < until:
        for kind, domain in (("known", f"healthy{i % HEALTHY_DOMAINS}"), ("new", f"new{i}")):
            async with Session(port) as session:
                await session.send([f"user@{domain}.example"], f"{kind}-{i}")
            accepted[kind][f"{kind}-{i}"] = time.monotonic()
        i += 1
        await asyncio.sleep(0.5)
    patience = time.monotonic() + 60
    while time.monotonic() < patience and any(token not in arrived for sent in accepted.values() for token in sent):
        await asyncio.sleep(0.2)
    for kind, sent in accepted.items():
        took = sorted(max(0.0, arrived[token] - at) for token, at in sent.items() if token in arrived)
        figures = (f"{statistics.median(took):.3f} {took[max(0, int(len(took) * 0.95) - 1)]:.3f} {took[-1]:.3f}" if took else "- - -")
        print(f"{kind} {len(sent)} {len(took)} {figures}", flush=True)


if __name__ == "__main__":
    async def run():
        await main(*map(int, sys.argv[1:5]))
        # Without a closing reply to hundreds of tarpits.
        os._exit(0)

    asyncio.run(run())
