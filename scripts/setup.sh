#!/usr/bin/env bash
# Make this machine able to build Lectern; with --tests, to run its tests as well.
# On Debian and its relatives what is missing is installed, elsewhere it is named.
# It changes nothing, and takes no time, where all is there.
set -euo pipefail

case ${1-} in
  "") tests=no ;;
  --tests) tests=yes ;;
  *)
    echo "usage: scripts/setup.sh [--tests]" >&2
    exit 2
    ;;
esac

# WebKit, librsvg, appindicator, xdo: the window. cmake, protobuf: LanceDB.
packages=(
  libwebkit2gtk-4.1-dev librsvg2-dev libayatana-appindicator3-dev libxdo-dev libssl-dev
  pkg-config build-essential cmake protobuf-compiler libprotobuf-dev
)
if [ "$tests" = yes ]; then
  # WebKit's driver and an X server without a screen: the tests of the window. Chromium: the
  # tests of the page. The fonts: documents in Chinese.
  packages+=(
    webkit2gtk-driver xvfb dbus-x11 xauth chromium fonts-noto-cjk imagemagick
  )
fi

fault=no
complain() {
  echo "setup: $*" >&2
  fault=yes
}

# at_least HAVE WANTED: compares versions, not strings.
at_least() {
  [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

# needs COMMAND VERSION HOW: the command is there in that version or later.
needs() {
  local have
  if ! command -v "$1" >/dev/null; then
    complain "$1 is missing. $3"
    return
  fi
  # The first thing that looks like a version in "cargo 1.95.0 (…)", "v20.20.2", "Python 3.11.7".
  have=$("$1" --version 2>/dev/null | grep -oE '[0-9]+(\.[0-9]+)+' | head -n 1 || true)
  at_least "${have:-0}" "$2" || complain "$1 is ${have:-of an unknown version}, and $2 or later is needed. $3"
}

# The versions stand in Cargo.toml (rust-version) and ui/package.json (engines).
needs cargo 1.94 "Install Rust with rustup."
needs node 20.19 "Install Node.js 20 or later."
needs npm 9 "It comes with Node.js."
needs git 2 "Install git."
needs python3 3.11 "Install Python 3.11 or later."
python3 -m pip --version >/dev/null 2>&1 || complain "Python's pip is missing: the models come by it. Install python3-pip."

install_debian_packages() {
  local missing=() package root=() installed
  # A package that was removed is still known, as "config-files", so its state counts.
  installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${packages[@]}" 2>/dev/null || true)
  for package in "${packages[@]}"; do
    grep -qxF "installed $package" <<<"$installed" || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0

  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      complain "these packages are missing, and there is no sudo to install them: ${missing[*]}"
      return
    fi
    root=(sudo)
  fi
  echo "setup: installing ${missing[*]}"
  # No question may wait for an answer where nobody is.
  # ${root[@]+…}: before bash 4.4 an empty array counts as unset.
  ${root[@]+"${root[@]}"} apt-get update -q
  ${root[@]+"${root[@]}"} env DEBIAN_FRONTEND=noninteractive \
    apt-get install -q -y --no-install-recommends "${missing[@]}" </dev/null
}

case $(uname -s) in
  Linux)
    if command -v dpkg-query >/dev/null && command -v apt-get >/dev/null; then
      install_debian_packages
    else
      echo "setup: not a Debian system; what these Debian packages hold is needed: ${packages[*]}"
    fi
    ;;
  Darwin)
    xcode-select -p >/dev/null 2>&1 || complain "Xcode's command line tools are missing: run xcode-select --install."
    for tool in cmake protoc; do
      command -v "$tool" >/dev/null || complain "$tool is missing: it is in Homebrew's cmake and protobuf."
    done
    ;;
  *)
    echo "setup: cmake, protoc, a C++ compiler and the system's web view (WebView2) are needed"
    ;;
esac

[ "$fault" = no ]

# Not before: it needs cargo and git.
python3 "$(dirname "$0")/patch_sources.py"
