"""Repositories by HTTP for the tests: `server.py DIRECTORY LOG [tls]` serves `git http-backend`, prints its port, and ends with its standard input.

`/open/REPO` is everybody's, `/auth/REPO` is ann's, whose password is `correct horse`; `/to/URL` leads elsewhere; `/slow/` never answers. Whatever
`Authorization` comes is written to LOG, with the host that was asked.
"""
import base64, gzip, http.server, os, ssl, subprocess, sys, threading, time

DIRECTORY, LOG = sys.argv[1:3]
ANN = "Basic " + base64.b64encode(b"ann:correct horse").decode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        data = b""
        while length := int(self.rfile.readline().split(b";")[0], 16):
            data += self.rfile.read(length)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def answer(self, code, headers=(), data=b""):
        self.send_response(code)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def serve(self):
        given = self.headers.get("Authorization")
        with open(LOG, "a") as log:
            log.write(f"{self.headers['Host']} {self.path} {given}\n")
        data = self.body()
        kind, _, path = self.path[1:].partition("/")
        if kind == "slow":
            time.sleep(60)
        if kind == "to":
            return self.answer(302, [("Location", "http://" + path)])
        if kind == "auth" and given != ANN:
            return self.answer(401, [("WWW-Authenticate", 'Basic realm="tests"')])
        if kind not in ("auth", "open"):
            return self.answer(404)
        path, _, query = path.partition("?")
        environment = {
            "PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": DIRECTORY, "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": "/" + path, "QUERY_STRING": query,
            "REQUEST_METHOD": self.command, "CONTENT_TYPE": self.headers.get("Content-Type", ""), "REMOTE_USER": "ann" if kind == "auth" else "",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""), "HOME": DIRECTORY, "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
        }
        if self.headers.get("Content-Encoding") == "gzip":
            data = gzip.decompress(data)
        environment["CONTENT_LENGTH"] = str(len(data))
        done = subprocess.run(["git", "http-backend"], input=data, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        head, _, rest = done.stdout.partition(b"\r\n\r\n")
        headers = [line.decode().split(": ", 1) for line in head.split(b"\r\n") if line]
        status = next((int(value.split()[0]) for name, value in headers if name == "Status"), 200)
        self.answer(status, [header for header in headers if header[0] not in ("Status", "Content-Length")], rest)

    do_GET = do_POST = serve


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
if sys.argv[3:] == ["tls"]:
    # By a certificate that nobody knows.
    key, certificate = f"{DIRECTORY}/tls.key", f"{DIRECTORY}/tls.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=test",
                    "-keyout", key, "-out", certificate], check=True, stderr=subprocess.DEVNULL)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
sys.stdin.read()
