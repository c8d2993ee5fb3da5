"""Writes an OCI layout of three small layers, with a static busybox in the lowest: `layers.py BUSYBOX DIRECTORY`."""

import hashlib
import io
import json
import sys
import tarfile
from pathlib import Path

LAYER = "application/vnd.oci.image.layer.v1.tar"


def layer(name, content, mode):
    """A directory with one file in it."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(content), mode
        tar.addfile(entry, io.BytesIO(content))
    return archive.getvalue()


def main():
    busybox, root = Path(sys.argv[1]), Path(sys.argv[2])
    blobs = root / "blobs/sha256"
    blobs.mkdir(parents=True)

    def keep(kind, content):
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content)}

    layers = [layer("bin/busybox", busybox.read_bytes(), 0o755), layer("a/b", b"b", 0o644), layer("c/d", b"d", 0o644)]
    kept = [keep(LAYER, content) for content in layers]
    config = {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [descriptor["digest"] for descriptor in kept]},
    }
    config = keep("application/vnd.oci.image.config.v1+json", json.dumps(config).encode())
    manifest_type = "application/vnd.oci.image.manifest.v1+json"
    manifest = {"schemaVersion": 2, "mediaType": manifest_type, "config": config, "layers": kept}
    index = {"schemaVersion": 2, "manifests": [keep(manifest_type, json.dumps(manifest).encode())]}
    (root / "index.json").write_text(json.dumps(index))
    (root / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


main()
