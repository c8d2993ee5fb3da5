"""Servers of the tests' network: each port is a kind of peer. See `TCP` and `UDP` for which."""
import asyncio, base64, hashlib, os, shutil, socket, ssl, struct, subprocess, sys

import names

seen = None
PIECE = bytes(range(256)) * 256


def tell(*words):
    seen.write((" ".join(map(str, words)) + "\n").encode())


async def echo(reader, writer):
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()


async def sink(reader, writer):
    """Counts what comes, and says so when the other side has finished."""
    count, digest = 0, hashlib.sha256()
    while data := await reader.read(1 << 20):
        count += len(data)
        digest.update(data)
    writer.write(f"{count} {digest.hexdigest()}\n".encode())
    await writer.drain()


async def source(reader, writer):
    """Sends so many bytes as the first line says."""
    left = int(await reader.readline())
    while left > 0:
        writer.write(PIECE[:left])
        left -= len(PIECE)
        await writer.drain()


async def banner(reader, writer):
    writer.write(b"SSH-2.0-test\r\n")
    await echo(reader, writer)


async def reset(reader, writer):
    """Ends with a reset as soon as something comes."""
    await reader.read(1)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def half(reader, writer):
    """Finishes first, and reads on."""
    writer.write(b"first\n")
    writer.write_eof()
    tell("half", await reader.read())


async def late(reader, writer):
    """Reads nothing for a while: its window closes."""
    writer.transport.pause_reading()
    await asyncio.sleep(1)
    writer.transport.resume_reading()
    await sink(reader, writer)


async def slow(_, writer):
    for number in range(10):
        writer.write(f"{number}\n".encode())
        await asyncio.sleep(0.05)


async def hang(reader, writer):
    """Says hello and nothing else, and takes next to nothing."""
    writer.transport.pause_reading()
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    writer.write(b"hello\n")
    await asyncio.sleep(600)


async def http(reader, writer):
    """Answers each request with its line and Host, but for the paths below."""
    while head := await reader.readuntil(b"\r\n\r\n"):
        lines = head.decode("latin-1").split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        method, path = (lines[0].split(" ") + ["", ""])[:2]
        tls = writer.get_extra_info("ssl_object")
        tell("http", writer.get_extra_info("sockname")[0], lines[0], fields.get("host"), getattr(tls, "asked", ""))
        body = await reader.readexactly(int(fields.get("content-length", 0)))
        while fields.get("transfer-encoding") == "chunked" and lines[0].endswith("1.1"):
            piece = await reader.readexactly(int(await reader.readline(), 16) + 2)
            body += piece[:-2]
            if len(piece) == 2:
                break
        if fields.get("upgrade", "").lower() == "websocket":
            key = base64.b64encode(hashlib.sha1((fields["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + key + b"\r\n\r\n")
            return await echo(reader, writer)
        if path.startswith("/bytes/"):
            await many(writer, int(path[7:]))
        else:
            code, more, answer = answered(method, path, fields.get("host"), body)
            writer.write(f"HTTP/1.1 {code}\r\n{more}Content-Length: {len(answer)}\r\n\r\n".encode() + (b"" if method == "HEAD" else answer))
        await writer.drain()
        if fields.get("connection", "").lower() == "close":
            return


async def many(writer, left):
    writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {left}\r\n\r\n".encode())
    while left > 0:
        writer.write(PIECE[:left])
        left -= len(PIECE)
        await writer.drain()


def answered(method, path, asked, body):
    if path.startswith("/redirect/"):
        return "302 Found", f"Location: {path[10:]}\r\n", b""
    if path.startswith("/files/"):
        file = os.path.join(directory, "files", path[7:].partition("?")[0])
        if not os.path.isfile(file) and not os.path.isdir(file):
            return "404 Not Found", "", b""
        if os.path.isdir(file):
            listed = "".join(f'<a href="{name}">{name}</a>\n' for name in sorted(os.listdir(file)))
            return "200 OK", "Content-Type: text/html\r\n", listed.encode()
        return "200 OK", "", open(file, "rb").read()
    return "200 OK", "", f"{place} {method} {path} {asked} {hashlib.sha256(body).hexdigest() if body else ''}\n".encode()


class Datagrams(asyncio.DatagramProtocol):
    """One address and port: names at 53, an echo elsewhere."""

    def __init__(self, address, port):
        self.address, self.port = address, port

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, sender):
        tell("udp", self.address, self.port, data[:64])
        if self.port != 53:
            # asyncio's own sends nothing where there are no bytes.
            self.transport.get_extra_info("socket")._sock.sendto(data, sender)
        elif answer := names.answer(data, False, tell, self.address):
            self.transport.sendto(answer, sender)


async def resolver(reader, writer):
    address = writer.get_extra_info("sockname")[0]
    while True:
        length, = struct.unpack("!H", await reader.readexactly(2))
        if answer := names.answer(await reader.readexactly(length), True, tell, address):
            writer.write(struct.pack("!H", len(answer)) + answer)


TCP = {7: echo, 9: sink, 19: source, 22: banner, 53: resolver, 80: http, 8080: http, 443: http, 8443: http, 853: http,
       6000: reset, 6001: half, 6002: late, 6003: slow, 6004: hang}
TLS = (443, 8443, 853)
UDP = (7, 53, 443, 9000)


def guarded(peer):
    async def handle(reader, writer):
        tell("tcp", *writer.get_extra_info("sockname")[:2])
        try:
            await peer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, KeyError, ssl.SSLError) as error:
            tell("error", *writer.get_extra_info("sockname")[:2], repr(error))
        finally:
            writer.close()
    return handle


def context():
    """For every name of the zone, and some addresses. (Nobody believes in `*.example`.)"""
    certificate, key = f"{directory}/{place}.pem", f"{directory}/{place}.key"
    known = [f"DNS:{name}" for name in [*names.ZONE, "*.wild.example", "localhost"]]
    alternatives = ",".join(known + ["IP:192.52.193.1", "IP:192.52.193.2"])
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=test",
                    "-addext", f"subjectAltName={alternatives}", "-keyout", key, "-out", certificate], check=True, stderr=subprocess.DEVNULL)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificate, key)

    def asked(tls, name, _):
        tls.asked = name
    made.sni_callback = asked
    return made


async def serve(where, datagrams, secure, into, also):
    """Serves on every address; datagrams, and port 443, on those that are named. Calls `also` before it says that it is ready."""
    global seen, place, directory
    place, directory = where, into
    # Appended in whole lines by two processes.
    seen = open(f"{into}/seen", "ab", buffering=0)
    tls, loop = context(), asyncio.get_running_loop()
    for port, peer in TCP.items():
        if where == "outside" or port not in (53,):
            addresses = secure if port == 443 else None
            await asyncio.start_server(guarded(peer), addresses, port, ssl=tls if port in TLS else None, backlog=4096)
    for address in datagrams or ["127.0.0.1", "::1", "192.31.196.1"]:
        for port in UDP if datagrams else (7, 9000):
            await loop.create_datagram_endpoint(lambda a=address, p=port: Datagrams(a, p), local_addr=(address, port))
    also()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.read)
    if where == "host":
        shutil.rmtree(into, ignore_errors=True)
    os._exit(0)
