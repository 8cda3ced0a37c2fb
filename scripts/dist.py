#!/usr/bin/env python3
"""Make the packages of what `cargo build --workspace --bins --profile dist` has built, for this system.

    scripts/dist.py [--appimage] [--profile dev]

On Linux a .deb and an .rpm; an AppImage as well where the tools that make one are in the cache of
Tauri's bundler, or with --appimage, which lets it fetch them. On macOS an .app and a .dmg, signed where
the variables of Tauri's bundler say with what; on Windows an installer and an .msi. `make dist` runs it.
With `--profile dev` they hold the program of daily work, twice as large, which is enough to try a package.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TAURI = ROOT / "src-tauri"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", Path.home() / ".cache/lectern/target"))
# The program without its symbols, as it is packed, and the packages.
PACKAGES = TARGET / "packages"
CLI = "@tauri-apps/cli@2.12.5"


def bundles(appimage: bool) -> list[str]:
    if sys.platform == "darwin":
        return ["app", "dmg"]
    if sys.platform == "win32":
        return ["nsis", "msi"]
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "tauri"
    if appimage or any(cache.glob("linuxdeploy-*.AppImage")):
        return ["deb", "rpm", "appimage"]
    print(f"dist: no AppImage: {cache} has no linuxdeploy, and without --appimage it is not fetched")
    return ["deb", "rpm"]


def strip(profile: str) -> None:
    """Put the program without its symbols where the bundler looks for it."""
    name = "lectern-desktop.exe" if sys.platform == "win32" else "lectern-desktop"
    built, packed = TARGET / ("debug" if profile == "dev" else profile) / name, PACKAGES / "debug" / name
    packed.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(built, packed)
    if sys.platform == "darwin":
        subprocess.run(["strip", "-x", packed], check=True)
    elif sys.platform != "win32":
        # On Windows the symbols are in a file beside the program.
        subprocess.run(["strip", "--strip-all", packed], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--appimage", action="store_true", help="make an AppImage, and fetch the tools for it")
    parser.add_argument("--profile", default="dist", help="the profile that the program was built with")
    arguments = parser.parse_args()
    wanted = bundles(arguments.appimage)
    generated = TAURI / "gen"
    for script in (["fetch_pdfium.py", "--copy", generated / "pdfium"], ["licences.py", "--texts", generated / "licences.txt"]):
        subprocess.run([sys.executable, "-B", ROOT / "scripts" / script[0], *script[1:]], check=True)
    strip(arguments.profile)
    # Of an earlier version, perhaps.
    shutil.rmtree(PACKAGES / "debug/bundle", ignore_errors=True)
    npx = shutil.which("npx") or sys.exit("dist: npx is missing; it comes with Node.js")
    subprocess.run(
        [npx, "--yes", CLI, "bundle", "--debug", "--bundles", ",".join(wanted), "--config", "tauri.package.json"],
        cwd=TAURI, env=os.environ | {"CARGO_TARGET_DIR": str(PACKAGES)}, check=True,
    )
    for package in sorted((PACKAGES / "debug/bundle").glob("*/*.*")):
        if package.suffix in {".deb", ".rpm", ".AppImage", ".dmg", ".msi", ".exe"}:
            print(f"{package}: {package.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
