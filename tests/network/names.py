"""The server of names of the tests' network: a zone, and just enough of RFC 1035."""
import ipaddress, struct, time

A, NS, CNAME, SOA, MX, TXT, AAAA = 1, 2, 5, 6, 15, 16, 28
ZONE = {
    "allowed.example": ["192.52.193.1", "2620:4f:8000:2::1"],
    "four.example": ["192.52.193.1"],
    "other.example": ["192.52.193.2", "2620:4f:8000:2::2"],
    "shared.example": ["192.52.193.1"],
    "alias.example": [(CNAME, "hop.elsewhere")],
    "hop.elsewhere": [(CNAME, "end.elsewhere")],
    "end.elsewhere": ["192.52.193.1"],
    "loop.example": [(CNAME, "loop.example")],
    "private.example": ["10.30.0.1", "fd00:5::1"],
    "mixed.example": ["10.30.0.1", "192.52.193.1", "169.254.169.254"],
    "metadata.example": ["169.254.169.254", "fd00:ec2::254"],
    "home.example": ["127.0.0.1", "::1"],
    "own.example": ["192.31.196.1", "2620:4f:8000:1::1"],
    "carried.example": ["::ffff:10.30.0.1", "64:ff9b::a1e:1", "2002:a1e:1::1", "::a1e:1"],
    "toprivate.example": [(CNAME, "private.example")],
    "txt.example": [(TXT, "one text"), (MX, "mail.example")],
    "big.example": [(TXT, f"{number:03} " + "x" * 200) for number in range(40)],
    "dead.example": ["192.52.193.200"],
    "h2.example": ["192.52.193.5", "2620:4f:8000:2::5"],
}


def look_up(name):
    if name == "rebind.example":
        # Twice a second, now here, now there.
        return ["192.52.193.1" if int(time.time() * 2) % 2 else "10.30.0.1"]
    if name.endswith(".wild.example"):
        return ["192.52.193.4"]
    return ZONE.get(name)


def packed(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def records(name, kind):
    found, chain = look_up(name), []
    if found is None:
        return None
    for record in found:
        if isinstance(record, str):
            address = ipaddress.ip_address(record)
            if kind == (A if address.version == 4 else AAAA):
                chain.append((name, kind, address.packed))
        elif record[0] == CNAME:
            chain.append((name, CNAME, packed(record[1])))
            if len(chain) < 8 and record[1] != name:
                chain += records(record[1], kind) or []
        elif record[0] == kind:
            text = record[1].encode()
            chain.append((name, kind, bytes([len(text)]) + text if kind == TXT else struct.pack("!H", 10) + packed(record[1])))
    return chain


def answer(question, stream, tell, address):
    """The answer to a message, or nothing for names that begin with `silent`."""
    number, _, count = struct.unpack_from("!HHH", question)
    place, labels = 12, []
    while length := question[place]:
        labels.append(question[place + 1:place + 1 + length].decode("latin-1"))
        place += length + 1
    kind, = struct.unpack_from("!H", question, place + 1)
    name = ".".join(labels).lower()
    tell("dns", address, "tcp" if stream else "udp", name, kind)
    if name.startswith("silent"):
        return None
    found = records(name, kind)
    body = b"".join(packed(owner) + struct.pack("!HHIH", type_, 1, 0 if "rebind" in name else 300, len(data)) + data for owner, type_, data in found or [])
    code, cut = 3 if found is None else 0, not stream and len(body) > 400
    head = struct.pack("!HHHHHH", number, 0x8180 | code | (0x200 if cut else 0), 1, 0 if cut else len(found or []), 0, 0)
    return head + question[12:place + 5] + (b"" if cut else body)
