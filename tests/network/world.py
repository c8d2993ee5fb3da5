"""A network of its own for the tests: `world.py DIRECTORY` in a fresh network and mount namespace, which becomes the host's.

A second network namespace, reached by a veth pair, is everything else: public addresses (those for documentation), private ones, a metadata
service, servers of names. What arrives anywhere is written to DIRECTORY/seen, one line each. It says `ready`, and ends with its standard input.
"""
import asyncio, os, subprocess, sys

DIRECTORY = sys.argv[1]
PUBLIC = ["203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4", "203.0.113.53"]
SPECIAL = ["10.30.0.1", "172.16.5.1", "192.168.5.1", "169.254.169.254", "169.254.7.7", "100.64.0.1", "100.100.100.200",
           "198.18.0.1", "168.63.129.16", "192.0.0.192"]
PUBLIC6 = ["2001:db8:2::1", "2001:db8:2::2", "2001:db8:2::53"]
# The last ones carry 10.30.0.1: NAT64, 6to4, Teredo (inverted), IPv4-compatible.
SPECIAL6 = ["fd00:5::1", "fd00:ec2::254", "fec0::5", "64:ff9b:1::5", "64:ff9b::a1e:1", "2002:a1e:1::1", "2001:0:cb00:7101::f5e1:fffe", "::a1e:1"]


def run(*words):
    subprocess.run(words, check=True)


def ip(text):
    for line in text.strip().splitlines():
        run("ip", *line.split())


def outside():
    """The other namespace: waits for its end of the pair, and serves."""
    sys.stdin.readline()
    ip("""link set lo up
          link set w0 up
          addr add 198.51.100.254/24 dev w0
          addr add 10.20.0.254/24 dev w0
          addr add 2001:db8:1::fe/64 dev w0 nodad
          route add default via 198.51.100.1""")
    # As on any network, what nobody has is dropped and not answered.
    ip("\n".join(f"route add blackhole {net}" for net in ["203.0.113.192/26", "2001:db8:dead::/48"]))
    ip("\n".join(f"addr add {address}/32 dev lo" for address in PUBLIC + SPECIAL))
    ip("\n".join(f"addr add {address}/128 dev lo nodad" for address in PUBLIC6 + SPECIAL6))
    serve("outside", PUBLIC + SPECIAL + PUBLIC6 + SPECIAL6 + ["10.20.0.254"])


def host():
    """The host's side: loopback, one private and one public address of its own."""
    other = subprocess.Popen(["unshare", "--net", sys.executable, __file__, DIRECTORY, "outside"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    while os.readlink(f"/proc/{other.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
        pass
    ip(f"""link set lo up
           link add h0 type veth peer name w0 netns {other.pid}
           link set h0 up
           addr add 198.51.100.1/24 dev h0
           addr add 10.20.0.1/24 dev h0
           addr add 2001:db8:1::1/64 dev h0 nodad""")
    other.stdin.write(b"\n")
    other.stdin.flush()
    assert other.stdout.readline() == b"ready\n"
    ip("""route add default via 198.51.100.254
          route add default via 2001:db8:1::fe""")
    with open(f"{DIRECTORY}/resolv.conf", "w") as file:
        file.write("nameserver 10.20.0.254\noptions timeout:1\n")
    run("mount", "--bind", f"{DIRECTORY}/resolv.conf", "/etc/resolv.conf")
    with open("/proc/sys/net/ipv4/ping_group_range", "w") as file:
        # Of a sandbox of root's it is nobody who sends echo requests.
        file.write(f"{os.getgid()} {os.getgid() or 65534}")
    serve("host", [])


def serve(place, datagrams):
    import peers
    asyncio.run(peers.serve(place, datagrams, DIRECTORY))


outside() if sys.argv[2:] == ["outside"] else host()
