"""A far end for chunking.sh: takes all mail, offers PIPELINING and, with "chunking" as second argument, CHUNKING; counts in a file."""
import asyncio
import sys

port, offers, counted = int(sys.argv[1]), sys.argv[2] == "chunking", sys.argv[3]
taken = {"BDAT": 0, "DATA": 0}


def count(how):
    taken[how] += 1
    with open(counted, "w") as file:
        file.write(f"{sum(taken.values())} {taken['BDAT']}\n")


async def serve(reader, writer):
    writer.write(b"220 sink.example ESMTP\r\n")
    try:
        while line := await reader.readline():
            words = line.split()
            verb = words[0].upper() if words else b""
            if verb == b"EHLO":
                writer.write(b"250-sink.example\r\n250-PIPELINING\r\n" + (b"250-CHUNKING\r\n" if offers else b"") + b"250 8BITMIME\r\n")
            elif verb == b"DATA":
                writer.write(b"354 Go on\r\n")
                await reader.readuntil(b"\r\n.\r\n")
                count("DATA")
                writer.write(b"250 Ok\r\n")
            elif verb == b"BDAT":
                await reader.readexactly(int(words[1]))
                if words[-1].upper() == b"LAST":
                    count("BDAT")
                writer.write(b"250 Ok\r\n")
            elif verb == b"QUIT":
                writer.write(b"221 Bye\r\n")
                break
            else:
                writer.write(b"250 Ok\r\n")
            if not reader._buffer:
                await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", port, limit=64 * 1024 * 1024)
    async with server:
        await server.serve_forever()


asyncio.run(main())
