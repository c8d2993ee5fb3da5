"""belljar from Python: sandboxes for code that nobody has read.

    with belljar.Client() as client:
        client.create(name="box")
        print(client.exec(name="box", command=["echo", "hello"])["stdout"])
        client.rm(name="box", force=True)

One `belljar rpc` process does all of it; every method is a verb of the command line, typed by the schemas of
`belljar schema rpc`. Any number of threads may call at once. A method waits for its result; `client.begin` does not:

    call = client.begin("exec", name="box", command=["cat"], input=True)
    call.input("hello", end=True)
    print(call.result()["stdout"])

What a command prints comes as it is printed by `on_output=function(stream, data)`, which a thread of the client calls.
"""

from .client import Call, Client, Error, Lost

__all__ = ["Call", "Client", "Error", "Lost"]
