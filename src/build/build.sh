#!/bin/sh
# Builds a root file system, inside the sandbox: as user 0, with the privileges of a build. /build is the work directory, and
# what belljar wrote for this build lies in /build/job. The arguments are mmdebstrap's. What comes out is /build/root.tar.
set -eu
job=/build/job root=/build/root

echo "reading the lists of packages"
mkdir -p /build/apt/lists/partial /build/apt/cache/archives/partial
APT_CONFIG=$job/apt.conf apt-get update -qq --error-on=any
# The day of the release: the same packages make the same image, whenever it is built.
if [ -z "${SOURCE_DATE_EPOCH-}" ]; then
  date=$(cat /build/apt/lists/*_dists_"$SUITE"_InRelease /build/apt/lists/*_dists_"$SUITE"_Release 2>/dev/null |
    sed -n 's/^Date: //p' | head -n 1)
  SOURCE_DATE_EPOCH=$(date -u -d "$date" +%s)
fi
export SOURCE_DATE_EPOCH
echo "$SOURCE_DATE_EPOCH" >/build/epoch

echo "installing packages"
# The kernel's /proc is there already, and a package that brings the directory would change its mode.
TAR_OPTIONS=--exclude=./proc mmdebstrap "$@"

echo "trimming"
# What was this machine's: its mirror, its name, its name servers.
rm -f "$root"/etc/apt/apt.conf.d/99mmdebstrap "$root"/etc/dpkg/dpkg.cfg.d/99mmdebstrap "$root"/etc/apt/sources.list.d/0000* \
  "$root/etc/hostname" "$root/etc/resolv.conf"
if [ -e "$job/sources.final" ] && [ -d "$root/etc/apt" ]; then
  cp "$job/sources.final" "$root/etc/apt/sources.list"
fi
set --
while IFS= read -r pattern; do set -- "$@" -o -path "$root$pattern"; done <"$job/exclude"
shift
set -- \( "$@" \)
while IFS= read -r pattern; do set -- "$@" ! -path "$root$pattern"; done <"$job/keep"
# Directories that are left empty go too.
find "$root" -xdev -depth -mindepth 1 "$@" \( -type d -empty -o ! -type d \) -delete
# An image has one owner: what was to lend a user's rights would lend root's.
find "$root" -xdev -type f -perm /6000 -exec chmod ug-s {} +

echo "packing"
tar --create --file /build/root.tar --directory "$root" --sort=name --format=gnu --numeric-owner --owner=0 --group=0 \
  --mtime="@$SOURCE_DATE_EPOCH" --clamp-mtime --exclude='./dev/*' --exclude='./proc/*' .
