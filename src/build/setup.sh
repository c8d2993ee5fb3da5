#!/bin/sh
# mmdebstrap's setup hook: gives the new root the lists of packages, which are read and verified by now, and those packages
# of the cache that the lists know by name, version and hash. Whoever can write to the cache can slow a build, and no more.
set -eu
root=$1
touch /build/valid
mkdir -p "$root/var/lib/apt/lists" "$root/var/cache/apt/archives/partial"
cp -a /build/apt/lists/. "$root/var/lib/apt/lists/"

cd /cache 2>/dev/null || exit 0
ls | grep '\.deb$' >/build/cached || exit 0
awk '
  FILENAME == "/build/cached" { cached[$0]; next }
  /^Package: / { name = $2 }
  /^Version: / { version = $2; gsub(":", "%3a", version) }
  /^Architecture: / { architecture = $2 }
  /^SHA256: / { hash = $2 }
  /^$/ { file = name "_" version "_" architecture ".deb"; if (file in cached) print hash "  " file }
' /build/cached /build/apt/lists/*_Packages >/build/known
sha256sum --check /build/known 2>/dev/null | sed -n 's/: OK$//p' | sort -u >/build/valid
xargs -r cp -t "$root/var/cache/apt/archives" -- </build/valid
echo "$(wc -l </build/valid) packages are in the cache"
