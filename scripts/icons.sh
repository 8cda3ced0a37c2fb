#!/usr/bin/env bash
# Draw the icons of every platform from icons/lectern.svg into icons/. The results are
# committed, so only a change of the drawing needs this (and librsvg2-bin, imagemagick).
set -euo pipefail
cd "$(dirname "$0")/../icons"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

for size in 16 24 32 48 64 128 256 512 1024; do
  rsvg-convert --width "$size" --height "$size" lectern.svg --output "$scratch/$size.png"
done

cp "$scratch/32.png" 32x32.png
cp "$scratch/128.png" 128x128.png
cp "$scratch/256.png" 128x128@2x.png
cp "$scratch/512.png" icon.png
# Panels scale down well and up badly, so the tray's has room for a dense screen.
cp "$scratch/64.png" tray.png

# 32 px comes first: it is the layer that a window of a development build shows.
convert "$scratch"/{32,16,24,48,64,256}.png -define png:exclude-chunks=date,time icon.ico

# An icns file is a header and members of "type, length, PNG", all big-endian.
python3 - "$scratch" icon.icns <<'PY'
import struct
import sys
from pathlib import Path

scratch, target = Path(sys.argv[1]), Path(sys.argv[2])
# The second of two types of one size is that size for a dense screen: ic11 is 16 pt at 2×.
types = {"ic11": 32, "ic12": 64, "ic07": 128, "ic13": 256, "ic08": 256, "ic14": 512, "ic09": 512, "ic10": 1024}
members = b""
for name, size in types.items():
    png = (scratch / f"{size}.png").read_bytes()
    members += name.encode() + struct.pack(">I", len(png) + 8) + png
target.write_bytes(b"icns" + struct.pack(">I", len(members) + 8) + members)
PY

ls -l
