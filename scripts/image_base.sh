#!/bin/sh
# Makes a base for the image where none can be pulled: Debian with Python, as a tar archive. Takes a
# minute, needs root and debootstrap. Packages come from where this machine's apt gets them.
#
#   scripts/image_base.sh FILE.tar
set -eu
umask 022  # what is made here is for uid 1337 too

archive=$1
suite=bookworm
work=$(mktemp -d -p /var/tmp)
# A mount that debootstrap has left there is not ours to empty.
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'exit 1' HUP INT TERM

packages=$(apt-get indextargets --format '$(ORIGIN) $(CODENAME) $(REPO_URI)' 'Created-By: Packages' |
    awk -v suite="$suite" '$1 == "Debian" && $2 == suite {print $3; exit}')

# shellcheck disable=SC2086
debootstrap --variant=minbase --include=python3,python3-pip,python3-venv,ca-certificates \
    "$suite" "$work/root" $packages >"$work/log" 2>&1 || { tail -n 5 "$work/log" >&2; exit 1; }

# Where an image of Python has them.
for name in python python3; do ln -s /usr/bin/python3 "$work/root/usr/local/bin/$name"; done
rm -rf "$work/root"/var/cache/apt/archives/*.deb "$work/root"/var/lib/apt/lists/*

mkdir -p "$(dirname "$archive")"
tar -C "$work/root" -cf "$archive.part" .
mv "$archive.part" "$archive"
