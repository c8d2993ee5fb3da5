"""belljar from Python: sandboxes for code that nobody has read.

    with belljar.Client() as client:
        client.create(name="box")
        print(client.exec(name="box", command=["echo", "hello"])["stdout"])
        client.rm(name="box", force=True)

One `belljar rpc` process does all of it; every method is a verb of the command line, typed by the schemas of
`belljar schema rpc`. Any number of threads may call at once.
"""

from .client import Client, Error, Lost

__all__ = ["Client", "Error", "Lost"]
