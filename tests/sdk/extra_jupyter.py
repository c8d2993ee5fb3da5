"""A real kernel of IPython in a sandbox, driven by Jupyter's own client: `extra_jupyter.py PACKAGES`, `ok` at the end."""

import asyncio
import json
import os
import subprocess
import sys
import time

from jupyter_client.manager import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager

import belljar.jupyter

PACKAGES = sys.argv[1]
SPEC = {
    "argv": ["python3", "-m", "ipykernel_launcher", "-f", "{connection_file}"],
    "display_name": "Python in a sandbox",
    "language": "python",
    "env": {"FROM_THE_SPEC": "yes"},
    "metadata": {
        "kernel_provisioner": {
            "provisioner_name": "belljar-provisioner",
            "config": {"mounts": [f"{PACKAGES}:/opt/packages"], "env": {"PYTHONPATH": "/opt/packages", "IPYTHONDIR": "/tmp/ipython"}},
        }
    },
}


def there():
    told = subprocess.run([os.environ["BELLJAR"], "ls", "--json"], stdout=subprocess.PIPE, check=True).stdout
    return [one["id"] for one in json.loads(told)["sandboxes"]]


async def run(client, code):
    """What code writes, and the value of its last expression or the name of its error."""
    said, value = [], None

    def hear(message):
        nonlocal value
        content = message["content"]
        if message["msg_type"] == "stream":
            said.append(content["text"])
        elif message["msg_type"] == "execute_result":
            value = content["data"]["text/plain"]
        elif message["msg_type"] == "error":
            value = content["ename"]

    await client.execute_interactive(code, output_hook=hear, timeout=60)
    return "".join(said), value


async def main():
    os.makedirs("kernels/belljar", exist_ok=True)
    with open("kernels/belljar/kernel.json", "w") as file:
        json.dump(SPEC, file)
    os.environ["A_SECRET"] = "of this machine"
    specs = KernelSpecManager(kernel_dirs=[os.path.abspath("kernels")])
    manager = AsyncKernelManager(kernel_name="belljar", kernel_spec_manager=specs)
    await manager.start_kernel()
    assert isinstance(manager.provisioner, belljar.jupyter.BelljarProvisioner), manager.provisioner
    client = manager.client()
    client.start_channels()
    await client.wait_for_ready(timeout=60)
    assert await run(client, "x = 6 * 7\nprint('hello')\nx") == ("hello\n", "42")
    assert await run(client, "import os; os.environ.get('A_SECRET'), os.environ['FROM_THE_SPEC'], os.uname().nodename") == ("", "(None, 'yes', 'belljar')")
    assert (await run(client, "import socket; socket.create_connection(('192.0.2.1', 80), 3)"))[1] == "OSError"
    assert (await run(client, "open('/etc/shadow').read()"))[1] in ("PermissionError", "FileNotFoundError")
    first = there()
    assert len(first) == 1

    # It is interrupted, and goes on.
    long = asyncio.ensure_future(run(client, "import time\nwhile True: time.sleep(0.1)"))
    await asyncio.sleep(1)
    await manager.interrupt_kernel()
    assert (await long)[1] == "KeyboardInterrupt"
    assert await run(client, "x") == ("", "42")

    # Anew, it knows nothing of before, in another sandbox.
    await manager.restart_kernel()
    await client.wait_for_ready(timeout=60)
    assert (await run(client, "x"))[1] == "NameError"
    assert len(there()) == 1 and there() != first
    assert await manager.is_alive()

    # One that ends by itself is seen to have.
    client.execute("import os; os._exit(3)")
    until = time.monotonic() + 30
    while await manager.is_alive() and time.monotonic() < until:
        await asyncio.sleep(0.1)
    assert not await manager.is_alive()
    client.stop_channels()
    await manager.shutdown_kernel(now=True)
    assert there() == []


asyncio.run(main())
belljar.jupyter.BelljarProvisioner._of_all().close()
print("ok")
