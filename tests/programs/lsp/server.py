"""A language server that misbehaves as its first argument says; what it was told is in the file of the second."""

import json
import os
import sys
import time

HOW, LOG = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else os.devnull
OUT = sys.stdout.buffer


def read():
    length = 0
    while (line := sys.stdin.buffer.readline()) not in (b"\r\n", b""):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    if not length:
        sys.exit(0)
    message = json.loads(sys.stdin.buffer.read(length))
    with open(LOG, "a") as log:
        log.write(json.dumps(message) + "\n")
    return message


def send(message):
    text = json.dumps({"jsonrpc": "2.0", **message}).encode()
    OUT.write(b"Content-Length: %d\r\n\r\n" % len(text) + text)
    OUT.flush()


def flood(piece):
    while True:
        OUT.write(piece)


def hover(text):
    return {"contents": text}


CAPABILITIES = {"hoverProvider": True, "textDocumentSync": 1, "renameProvider": True, "codeActionProvider": True}
asked = 0
if HOW == "silent":
    time.sleep(1000)
if HOW == "dead":
    print("no licence", file=sys.stderr)
    sys.exit(7)
while True:
    message = read()
    method, number = message.get("method"), message.get("id")
    if method == "initialize":
        send({"id": number, "result": {"capabilities": CAPABILITIES}})
    elif method == "shutdown":
        send({"id": number, "result": None})
    elif method == "exit":
        sys.exit(0)
    elif method == "textDocument/hover":
        asked += 1
        if HOW == "hang":
            continue
        if HOW == "numbers":
            send({"id": 10000 + number, "result": hover("here it is")})
            send({"id": "x", "result": hover("here it is")})
            continue
        if HOW == "stuck":
            time.sleep(1000)
        if HOW == "third" and asked == 3:
            print("out of luck", file=sys.stderr)
            sys.exit(3)
        if HOW == "flood":
            flood(b"x" * 65536)
        if HOW == "notes":
            note = json.dumps({"jsonrpc": "2.0", "method": "window/logMessage", "params": {"type": 3, "message": "x" * 60000}})
            flood(b"Content-Length: %d\r\n\r\n" % len(note) + note.encode())
        if HOW == "requests":
            note = json.dumps({"jsonrpc": "2.0", "id": "x" * 60000, "method": "workspace/configuration", "params": {"items": []}})
            flood(b"Content-Length: %d\r\n\r\n" % len(note) + note.encode())
        if HOW == "giant":
            OUT.write(b"Content-Length: 99999999999999\r\n\r\n")
            flood(b"{" * 65536)
        if HOW == "lines":
            flood(b"X-Header: y\r\n" * 5000)
        if HOW == "nonsense":
            OUT.write(b"Content-Length: 5\r\n\r\nhello")
            OUT.flush()
            continue
        if HOW == "shape":
            send({"id": number, "result": {"contents": 7}})
            continue
        if HOW == "refuses":
            send({"id": number, "error": {"code": -32603, "message": "not today"}})
            continue
        if HOW == "asks":
            send({"id": "a", "method": "workspace/configuration", "params": {"items": [{"section": "a.b"}, {"section": "c"}]}})
            told = [read()["result"]]
            for method in ("client/registerCapability", "window/workDoneProgress/create", "workspace/applyEdit", "no/such"):
                send({"id": 5, "method": method, "params": {"edit": {"changes": {}}}})
                answer = read()
                told.append(answer.get("result", answer.get("error", {}).get("code")))
            send({"id": number, "result": hover(json.dumps(told))})
            continue
        send({"id": number, "result": hover(f"{os.getpid()} {asked}")})
    elif method == "textDocument/rename":
        uri = message["params"]["textDocument"]["uri"]
        start = end = {"line": 0, "character": 0}
        text = "x" * (3 << 20)
        if HOW == "beside":
            start, end, text = {"line": 0, "character": 1}, {"line": 0, "character": 3}, "y"
        if HOW == "outside":
            start, end, text = {"line": 9, "character": 0}, {"line": 9, "character": 3}, "y"
        edits = [{"range": {"start": start, "end": end}, "newText": text}]
        send({"id": number, "result": {"changes": {uri: edits}}})
    elif number is not None and method:
        send({"id": number, "result": None})
