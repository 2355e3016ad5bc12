#!/bin/sh
# Installs the Debian packages the build needs; without root, says which are missing.
set -eu

missing=
for package in liblmdb-dev libtomlplusplus-dev libtorrent-rasterbar-dev; do
    dpkg-query --show --showformat='${Status}\n' "$package" 2>/dev/null | grep -q '^install ok installed$' ||
        missing="$missing $package"
done

if ! command -v swift >/dev/null; then
    echo "Swift 6.3 or newer is needed: https://www.swift.org/install/linux/" >&2
    exit 1
fi
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -ne 0 ]; then
    echo "Missing packages. As root: apt-get install$missing" >&2
    exit 1
fi
echo "Installing$missing"
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
