#!/bin/sh
# mmdebstrap's customize hook, when all packages are installed: keeps what was fetched, puts the recipe's files in, and
# executes its commands in the new root.
set -eu
unset TAR_OPTIONS SUITE
root=$1 job=/build/job

mkdir -p /build/fetched
for package in "$root"/var/cache/apt/archives/*.deb; do
  if [ -e "$package" ] && ! grep -qxF "${package##*/}" /build/valid; then mv "$package" /build/fetched/; fi
done
rm -f "$root"/var/cache/apt/archives/*.deb

# Files only: directories that are there keep their modes, and links to directories stay links.
(cd "$job/files" && find . -type f) >/build/names
tar -C "$job/files" --no-recursion --owner=0 --group=0 -T /build/names -cf - |
  tar -C "$root" --keep-directory-symlink --no-same-owner --preserve-permissions -xf -

[ -e "$job/run/1" ] || exit 0
for variable in $(env | sed -n 's/^\(MMDEBSTRAP_[A-Z0-9_]*\)=.*/\1/p'); do unset "$variable"; done
# Commands trust whom this machine trusts: a mirror may be behind a proxy with an authority of its own.
for bundle in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem; do
  if [ -e "$bundle" ]; then
    mkdir -p "$root/run/belljar"
    cp "$bundle" "$root/run/belljar/authorities.pem"
    SSL_CERT_FILE=/run/belljar/authorities.pem
    export SSL_CERT_FILE CURL_CA_BUNDLE="$SSL_CERT_FILE" GIT_SSL_CAINFO="$SSL_CERT_FILE" \
      NODE_EXTRA_CA_CERTS="$SSL_CERT_FILE" PIP_CERT="$SSL_CERT_FILE" npm_config_cafile="$SSL_CERT_FILE"
    break
  fi
done
if [ -n "${npm_config_registry-}" ]; then
  export COREPACK_NPM_REGISTRY="${COREPACK_NPM_REGISTRY:-${npm_config_registry%/}}"
fi
number=1
while [ -e "$job/run/$number" ]; do
  command=$(cat "$job/run/$number")
  echo "running: $command"
  DEBIAN_FRONTEND=noninteractive chroot "$root" /bin/sh -euc "$command" </dev/null || {
    echo "belljar: run $number: exit code $?"
    exit 1
  }
  number=$((number + 1))
done
