"""Logs in by POP3 and prints what a login cost the server: logins.py PID PORT ACCOUNTS AGAIN"""

import base64, hashlib, hmac, os, socket, sys, time

pid, port, accounts, again = (int(word) for word in sys.argv[1:])
PASSWORD = "correct horse"


def cpu():
    """Seconds of CPU of the server, in user mode and in the kernel."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Session:
    def __init__(self):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.file = self.socket.makefile("rb")
        self.expect(b"+OK")

    def say(self, line, start):
        self.socket.sendall(line + b"\r\n")
        return self.expect(start)

    def expect(self, start):
        line = self.file.readline().rstrip()
        if not line.startswith(start):
            raise SystemExit(f"logins.py: the server said {line!r}")
        return line[len(start):].strip()

    def quit(self):
        self.say(b"QUIT", b"+OK")
        self.socket.close()


def plain(name):
    session = Session()
    session.say(b"AUTH PLAIN " + base64.b64encode(f"\0{name}\0{PASSWORD}".encode()), b"+OK")
    session.quit()


def scram(name):
    """The client's side of RFC 5802 §3."""
    session = Session()
    bare = f"n={name},r={base64.b64encode(os.urandom(18)).decode()}"
    first = base64.b64decode(session.say(b"AUTH SCRAM-SHA-256 " + base64.b64encode(f"n,,{bare}".encode()), b"+ ")).decode()
    nonce, salt, iterations = (part[2:] for part in first.split(","))
    salted = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), base64.b64decode(salt), int(iterations))
    key = hmac.digest(salted, b"Client Key", "sha256")
    final = f"c=biws,r={nonce}"
    exchange = f"{bare},{first},{final}".encode()
    signature = hmac.digest(hashlib.sha256(key).digest(), exchange, "sha256")
    proof = base64.b64encode(bytes(a ^ b for a, b in zip(key, signature))).decode()
    last = base64.b64decode(session.say(base64.b64encode(f"{final},p={proof}".encode()), b"+ "))
    if last != b"v=" + base64.b64encode(hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), exchange, "sha256")):
        raise SystemExit("logins.py: the server did not prove that it knows the password")
    session.say(b"", b"+OK")
    session.quit()


def measure(row, login, names):
    before, start = cpu(), time.monotonic()
    for name in names:
        login(name)
    print(f"| {row} | {len(names)} | {(cpu() - before) / len(names) * 1000:.1f} | {(time.monotonic() - start) / len(names) * 1000:.1f} |", flush=True)


for _ in range(300):
    try:
        Session().quit()
        break
    except OSError:
        time.sleep(0.2)
# One account is for warming up: code is loaded and compiled once.
for _ in range(100):
    plain("user0@example.org")
    scram("user0@example.org")
names = [f"user{i}@example.org" for i in range(1, accounts + 1)]
print("| login | times | CPU ms of the server | ms until it has ended |")
print("| --- | --: | --: | --: |")
measure("PLAIN, the first of an account", plain, names)
measure("PLAIN, remembered", plain, names * again)
measure("SCRAM-SHA-256", scram, names * again)
