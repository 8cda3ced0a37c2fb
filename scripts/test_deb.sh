#!/usr/bin/env bash
# Installs the Debian package on a clean system in a folder, starts it there, asks about the samples,
# and removes it again. Needs root, debootstrap and a mirror of Debian; `make dist` makes the package.
#
#   scripts/test_deb.sh [PACKAGE.deb]
#
# LECTERN_MODELS says where the models lie; DEBIAN_MIRROR and SUITE name the system; ROOT keeps it.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-$HOME/.cache/lectern/target}
package=${1:-$(find "$target" -path '*/bundle/deb/*.deb' -printf '%T@ %p\n' | sort -n | tail -1 | cut -d' ' -f2)}
models=${LECTERN_MODELS:-$HOME/.cache/lectern/models}
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
suite=${SUITE:-bookworm}
[ -f "$package" ] || { echo "test_deb: no package; run make dist" >&2; exit 1; }

root=${ROOT:-$(mktemp -d /tmp/lectern-root.XXXXXX)}
mounted=()
end() {
  local place
  for place in "${mounted[@]}"; do umount -l "$place"; done
  [ -n "${ROOT:-}" ] || rm -rf --one-file-system "$root"
}
trap end EXIT

inside() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"; }
# What the package, and nothing else, could have left behind.
traces() { find "$root" -xdev \( -path "$root/home" -o -path "$root/proc" -o -path "$root/var/log" -o -path "$root/var/cache" \) -prune -o -iname '*lectern*' -print; }

if [ ! -x "$root/usr/bin/apt-get" ]; then
  echo "── a clean $suite in $root"
  debootstrap --variant=minbase "$suite" "$root" "$mirror" >/dev/null
fi
cp /etc/resolv.conf "$root/etc/resolv.conf"
# The mirror that this computer uses.
rm -f "$root/etc/apt/sources.list"
[ ! -f /etc/apt/sources.list ] || cp /etc/apt/sources.list "$root/etc/apt/"
cp -r /etc/apt/sources.list.d /etc/apt/apt.conf.d "$root/etc/apt/"
[ ! -d /usr/local/share/ca-certificates ] || cp -r /etc/ssl "$root/etc/"
for place in proc dev sys; do
  mount --rbind "/$place" "$root/$place"
  mount --make-rslave "$root/$place"
  mounted+=("$root/$place")
done

echo "── install"
inside apt-get update -q >/dev/null
cp "$package" "$root/tmp/package.deb"
inside apt-get install -q -y --no-install-recommends /tmp/package.deb >/dev/null
rm "$root/tmp/package.deb"
program=$(inside sh -c 'command -v lectern-desktop')
missing=$(inside ldd "$program" | grep 'not found' || true)
[ -z "$missing" ] || { echo "test_deb: the package does not depend on $missing" >&2; exit 1; }
inside du -sh --apparent-size "$program"
# Links to passages reach the program.
inside grep -qx "Exec=${program##*/} %u" /usr/share/applications/Lectern.desktop

echo "── start it, ask about the samples"
# What drives it is no part of the package, and came later.
inside apt-get install -q -y --no-install-recommends xvfb xauth dbus dbus-x11 webkit2gtk-driver fonts-dejavu-core >/dev/null
inside id ada >/dev/null 2>&1 || inside useradd -m ada
mkdir -p "$root/home/ada/models"
cp -alf "$models/." "$root/home/ada/models/" 2>/dev/null || cp -a "$models/." "$root/home/ada/models/"
python3 scripts/drive_deb.py "$root" "$program"

echo "── remove"
inside apt-get purge -q -y lectern >/dev/null
left=$(traces)
[ -z "$left" ] || { echo "test_deb: this is left: $left" >&2; exit 1; }
[ -n "$(find "$root/home/ada" -name catalog.sqlite)" ] || { echo "test_deb: the user's library is gone" >&2; exit 1; }
echo "── the package installs, answers, and leaves nothing but the user's data"
