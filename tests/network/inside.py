# What runs in front of each test's code, inside the sandbox. An answer is a word: what came, or the name of the error.
import errno, hashlib, os, select, socket, ssl, struct, subprocess, sys, threading, time

def word(error):
    if isinstance(error, socket.gaierror): return 'unknown'
    if isinstance(error, TimeoutError) and error.errno is None: return 'silence'
    return errno.errorcode.get(error.errno, repr(error))

def guarded(function):
    def call(*arguments, **options):
        try: return function(*arguments, **options)
        except OSError as error: return word(error)
    return call

def everything(peer):
    found = b''
    while data := peer.recv(1 << 16): found += data
    return found

@guarded
def tcp(address, port, data=b'', timeout=4):
    """The first bytes of a peer, after `data` if there is some."""
    with socket.create_connection((address, port), timeout) as peer:
        peer.sendall(data)
        return peer.recv(100).decode('latin-1').strip()

@guarded
def http(address, host, path='/', port=80, more=''):
    """The body of the answer to one request."""
    with socket.create_connection((address, port), 4) as peer:
        peer.sendall(f'GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n'.encode())
        return everything(peer).decode('latin-1').partition('\r\n\r\n')[2].strip()

def unchecked():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context

@guarded
def tls(address, name, host=None, port=443):
    """The same in TLS, whose hello names `name`."""
    with socket.create_connection((address, port), 4) as plain:
        with unchecked().wrap_socket(plain, server_hostname=name) as peer:
            peer.sendall(f'GET / HTTP/1.1\r\nHost: {host or name}\r\nConnection: close\r\n\r\n'.encode())
            return everything(peer).decode('latin-1').partition('\r\n\r\n')[2].strip()

@guarded
def udp(address, port, data=b'ping', timeout=2):
    """The echo of a datagram."""
    family = socket.AF_INET6 if ':' in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as peer:
        peer.settimeout(timeout)
        peer.connect((address, port))
        peer.send(data)
        return peer.recv(65536).decode('latin-1')

@guarded
def look(name, kind=socket.AF_INET):
    return ' '.join(sorted({found[4][0] for found in socket.getaddrinfo(name, 1, kind, socket.SOCK_STREAM)}))

def question(name, kind=1, number=77):
    labels = b''.join(bytes([len(label)]) + label.encode() for label in name.split('.'))
    return struct.pack('!HHHHHH', number, 0x100, 1, 0, 0, 0) + labels + b'\0' + struct.pack('!HH', kind, 1)

def quick(call, *arguments):
    """The answer, and that it took no time."""
    start = time.monotonic()
    answer = call(*arguments)
    taken = time.monotonic() - start
    return answer if taken < 1.5 else f'{answer} after {taken:.1f} s'

