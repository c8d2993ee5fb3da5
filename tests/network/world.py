"""A network of its own for the tests: `world.py DIRECTORY` in a fresh network and mount namespace, which becomes the host's.

A second network namespace, reached by a veth pair, is everything else: public addresses (of AMT, RFC 7450, and AS112, RFC 7534, whose blocks are nobody's
and globally reachable), private ones, a metadata service, servers of names, and such servers as people use: of iperf3, of HTTP/2 (Node), of ssh (dropbear). What arrives at the others is written to
DIRECTORY/seen, one line each. It says `ready`, and ends with its standard input.
"""
import asyncio, ctypes, os, pwd, shutil, signal, subprocess, sys

DIRECTORY = sys.argv[1]
PUBLIC = ["192.52.193.1", "192.52.193.2", "192.52.193.3", "192.52.193.4", "192.52.193.5", "192.52.193.53"]
SPECIAL = ["10.30.0.1", "172.16.5.1", "192.168.5.1", "169.254.169.254", "169.254.7.7", "100.64.0.1", "100.100.100.200",
           "198.18.0.1", "168.63.129.16", "192.0.0.192", "192.0.2.7", "198.51.100.7", "203.0.113.7"]
PUBLIC6 = ["2620:4f:8000:2::1", "2620:4f:8000:2::2", "2620:4f:8000:2::5", "2620:4f:8000:2::53"]
# Where port 443 is a server of HTTP/2.
HTTP2 = ["192.52.193.5", "2620:4f:8000:2::5"]
# The last ones carry 10.30.0.1: NAT64, 6to4, Teredo (inverted), IPv4-compatible.
SPECIAL6 = ["fd00:5::1", "fd00:ec2::254", "fec0::5", "64:ff9b:1::5", "2001:db8::5", "3fff::5", "2001:2::5",
            "64:ff9b::a1e:1", "2002:a1e:1::1", "2001:0:c034:c101::f5e1:fffe", "::a1e:1"]


def run(*words, **options):
    subprocess.run(words, check=True, **options)


def ip(text):
    for line in text.strip().splitlines():
        run("ip", *line.split())


def outside():
    """The other namespace: waits for its end of the pair, and serves."""
    sys.stdin.readline()
    ip("""link set lo up
          link set w0 up
          addr add 192.31.196.254/24 dev w0
          addr add 10.20.0.254/24 dev w0
          addr add 2620:4f:8000:1::fe/64 dev w0 nodad
          route add default via 192.31.196.1""")
    # As on any network, what nobody has is dropped and not answered.
    ip("\n".join(f"route add blackhole {net}" for net in ["192.52.193.192/26", "2620:4f:8000:dead::/64"]))
    ip("\n".join(f"addr add {address}/32 dev lo" for address in PUBLIC + SPECIAL))
    ip("\n".join(f"addr add {address}/128 dev lo nodad" for address in PUBLIC6 + SPECIAL6))
    addresses = PUBLIC + SPECIAL + PUBLIC6 + SPECIAL6 + ["10.20.0.254"]
    serve("outside", addresses, [address for address in addresses if address not in HTTP2], programs)


def die_with_us():
    """A program that is started here ends when we do (PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def start(*words, **options):
    return subprocess.Popen(words, stdin=subprocess.DEVNULL, preexec_fn=die_with_us, **options)


def programs():
    """Servers of others. Where one is not installed, the test that wants it says so."""
    # Whatever they say is of use to who looks for what went wrong.
    with open(f"{DIRECTORY}/programs", "ab") as said:
        if shutil.which("iperf3"):
            start("iperf3", "--server", "--bind", PUBLIC[0], stdout=said, stderr=said)
        if shutil.which("dropbear") and shutil.which("ssh-keygen"):
            sshd(said)
        if shutil.which("node"):
            server = start("node", f"{os.path.dirname(__file__)}/http2.js", DIRECTORY, *HTTP2, stdout=subprocess.PIPE, stderr=said)
            assert server.stdout.readline() == b"ready\n"


def sshd(said):
    """Lets in whoever has DIRECTORY/key, as the user that we are, with a home and a shell."""
    home, user = f"{DIRECTORY}/home", pwd.getpwuid(os.getuid()).pw_name
    os.makedirs(f"{home}/.ssh", mode=0o700)
    os.chmod(home, 0o700)
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{DIRECTORY}/key")
    shutil.copy(f"{DIRECTORY}/key.pub", f"{home}/.ssh/authorized_keys")
    os.chmod(f"{home}/.ssh/authorized_keys", 0o600)
    run("dropbearkey", "-t", "ed25519", "-f", f"{DIRECTORY}/host_key", stdout=said, stderr=said)
    with open(f"{DIRECTORY}/passwd", "w") as file:
        file.write(f"{user}:x:{os.getuid()}:{os.getgid()}::{home}:/bin/sh\n")
    script = 'mount --bind "$1/passwd" /etc/passwd && exec dropbear -F -E -s -P "$1/pid" -r "$1/host_key" -p 2222'
    start("unshare", "--mount", "sh", "-c", script, "sh", DIRECTORY, stdout=said, stderr=said)


def host():
    """The host's side: loopback, one private and one public address of its own."""
    other = subprocess.Popen(["unshare", "--net", sys.executable, __file__, DIRECTORY, "outside"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    while os.readlink(f"/proc/{other.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
        pass
    ip(f"""link set lo up
           link add h0 type veth peer name w0 netns {other.pid}
           link set h0 up
           addr add 192.31.196.1/24 dev h0
           addr add 10.20.0.1/24 dev h0
           addr add 2620:4f:8000:1::1/64 dev h0 nodad""")
    other.stdin.write(b"\n")
    other.stdin.flush()
    assert other.stdout.readline() == b"ready\n"
    ip("""route add default via 192.31.196.254
          route add default via 2620:4f:8000:1::fe""")
    with open(f"{DIRECTORY}/resolv.conf", "w") as file:
        file.write("nameserver 10.20.0.254\noptions timeout:1\n")
    run("mount", "--bind", f"{DIRECTORY}/resolv.conf", "/etc/resolv.conf")
    # An authority that this host trusts, and nobody else.
    run("mount", "--bind", f"{DIRECTORY}/outside.pem", "/etc/ssl/certs/ca-certificates.crt")
    with open("/proc/sys/net/ipv4/ping_group_range", "w") as file:
        # Of a sandbox of root's it is nobody who sends echo requests.
        file.write(f"{os.getgid()} {os.getgid() or 65534}")
    serve("host", [], None, lambda: None)


def serve(place, datagrams, secure, also):
    import peers
    asyncio.run(peers.serve(place, datagrams, secure, DIRECTORY, also))


outside() if sys.argv[2:] == ["outside"] else host()
