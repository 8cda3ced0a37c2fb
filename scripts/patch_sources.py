#!/usr/bin/env python3
"""Put the sources of the crates that Lectern patches under vendor/run-make-setup/.

    scripts/patch_sources.py             write what is missing or out of date

Cargo.toml names these folders under [patch.crates-io]. Each holds a crate as its registry
has it, with patches/<crate>-<version>.patch applied, and two things that keep cargo from
compiling it more often than needed:

- The version ends in a hash of the patch (and of RULES), as build metadata, which requirements such as
  `=0.10.2` do not look at. A changed patch is another package.
- All files bear one date. Cargo decides by their dates whether a crate on disk has changed,
  and several working trees may share one target folder.

The crate comes from cargo's own cache of downloads; what is not there is fetched by cargo, with
the person's configuration of registries. Only the standard library, cargo and git are used.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "vendor" / "run-make-setup"
# 2020-01-01: older than anything that is compiled from these files.
DATE = 1_577_836_800
STAMP = ".patched"
# What this script does to a crate besides the patch is part of the patched crate: a new letter here
# with each such change gives it another version.
RULES = ""


class PatchError(Exception):
    """What could not be done, in a sentence for the person at the terminal."""


@dataclass(frozen=True)
class Crate:
    """A crate of the registry, and the SHA-256 of the archive it is published as."""

    name: str
    version: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.name}-{self.version}"

    @property
    def patch(self) -> Path:
        return ROOT / "patches" / f"{self}.patch"

    @property
    def patched_version(self) -> str:
        return f"{self.version}+lectern.{hashlib.sha256(self.patch.read_bytes() + RULES.encode()).hexdigest()[:8]}"


CRATES = (
    Crate("candle-core", "0.10.2", "6bd9895436c1ba5dc1037a19935d084b838db066ff4e15ef7dded020b7c12a4a"),
    Crate("datafusion", "54.1.0", "754ef4e8f073922a26f5b23133b9db4829342362b09be0bc94309cf261c2f098"),
    Crate("lance", "14.0.2", "6895913cb87c0ca8140d13a3c980ceb5b6c67d95f5e96093a3e157347021c61b"),
    Crate("lance-index", "14.0.2", "df56fde7e5e34b1d6cf67de22fdfed3a9f6f2875fc5a5d452ae8ab5a1cef150b"),
    Crate("lancedb", "0.41.0", "fe258f6ae86d8986057b794e17912ad15f203f6e40fb441499735910714858a7"),
    Crate("mistralrs-core", "0.8.1", "a2b8b9e5c94491d9ceeded3a30291cb6af6ae74810a5776dd55e3bbb8b3429d4"),
)


def patched_manifest(manifest: str, published: str, version: str) -> str:
    """The `manifest` of the `published` version with ours, and with its authors' warnings off.

    Cargo shows the warnings of crates on disk, which of other people's code are noise.

    >>> text = '[package]\\nversion = "0.1.2"\\n[lints.clippy]\\na = "deny"\\n[dependencies.a]\\nversion = "0.1.2"\\n'
    >>> print(patched_manifest(text, "0.1.2", "0.1.2+lectern.x"))
    [package]
    version = "0.1.2+lectern.x"
    [dependencies.a]
    version = "0.1.2"
    <BLANKLINE>
    [lints.rust]
    warnings = "allow"
    <BLANKLINE>
    >>> patched_manifest('[package]\\nversion = "0.1.3"', "0.1.2", "0.1.2+lectern.x")
    Traceback (most recent call last):
    ...
    patch_sources.PatchError: its manifest is not of version 0.1.2
    """
    # The registry writes [package] first.
    head, found, tail = manifest.partition(f'version = "{published}"')
    if not found or "[package]" not in head or "[dependencies" in head:
        raise PatchError(f"its manifest is not of version {published}")
    tail = re.sub(r"^\[lints\..*\n(?:(?!\[).*\n?)*", "", tail, flags=re.MULTILINE)
    return f'{head}version = "{version}"{tail}\n[lints.rust]\nwarnings = "allow"\n'


def patched_lock(lock: str, name: str, version: str) -> str:
    """The text of a Cargo.lock with the crate `name`, from whatever source, replaced by ours.

    Cargo would do it too, and choose anew among the versions of many other crates.

    >>> print(patched_lock('''[[package]]
    ... name = "a"
    ... version = "0.1.2"
    ... source = "registry"
    ... checksum = "00"
    ... dependencies = [
    ... ''', "a", "0.1.2+lectern.x"), end="")
    [[package]]
    name = "a"
    version = "0.1.2+lectern.x"
    dependencies = [
    >>> patched_lock("", "a", "0.1.2+lectern.x")
    Traceback (most recent call last):
    ...
    patch_sources.PatchError: Cargo.lock has no package a
    """
    package = re.compile(rf'(name = "{re.escape(name)}"\nversion = ")[^"]*("\n)(?:source = .*\n)?(?:checksum = .*\n)?')
    lock, replaced = package.subn(rf"\g<1>{version}\g<2>", lock)
    if replaced != 1:
        raise PatchError(f"Cargo.lock has no package {name}")
    return lock


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def cached_archive(crate: Crate) -> Path | None:
    """The crate's archive among cargo's downloads, whichever registry it came from."""
    home = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")
    archives = sorted((home / "registry" / "cache").glob(f"*/{crate}.crate"))
    return next((path for path in archives if digest(path) == crate.sha256), None)


def fetch() -> None:
    """Have cargo download the crates, with the versions of Cargo.lock for all they need."""
    with tempfile.TemporaryDirectory() as folder:
        needs = "".join(f'{c.name} = {{ version = "={c.version}", default-features = false }}\n' for c in CRATES)
        manifest = Path(folder) / "Cargo.toml"
        manifest.write_text(
            f'[package]\nname = "sources"\nversion = "0.0.0"\nedition = "2024"\n[dependencies]\n{needs}', "utf-8"
        )
        (Path(folder) / "src").mkdir()
        (Path(folder) / "src" / "lib.rs").touch()
        shutil.copyfile(ROOT / "Cargo.lock", Path(folder) / "Cargo.lock")
        command = ["cargo", "fetch", "--target", "host-tuple", "--manifest-path", str(manifest)]
        # In the project's folder, where cargo reads the project's configuration as well.
        done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise PatchError("`cargo fetch` failed; see above")


def archive(crate: Crate) -> Path:
    if (path := cached_archive(crate)) is None:
        fetch()
        path = cached_archive(crate)
    if path is None:
        raise PatchError(f"cargo has no {crate}.crate with the SHA-256 {crate.sha256}")
    return path


def apply(patch: Path, folder: Path) -> None:
    # Without the ceiling, git would find this repository and take the paths for its own.
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent)}
    for variable in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        environment.pop(variable, None)
    command = ["git", "-c", "core.autocrlf=false", "apply", "--whitespace=nowarn", str(patch)]
    done = subprocess.run(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise PatchError(f"{patch.name} does not apply; see above")


def unpack(crate: Crate, folder: Path) -> None:
    with tarfile.open(archive(crate)) as tar:
        tar.extractall(folder, filter="data")


def lock(crate: Crate) -> None:
    """Have Cargo.lock name the patched version."""
    path = ROOT / "Cargo.lock"
    before = path.read_text("utf-8")
    if (after := patched_lock(before, crate.name, crate.patched_version)) != before:
        path.write_text(after, "utf-8", newline="\n")


def write(crate: Crate) -> None:
    """Write the patched sources of `crate` unless they are there."""
    patch = crate.patch
    # This script shapes the sources too.
    stamp = f"{crate.sha256} {digest(patch)} {digest(Path(__file__))}\n"
    target = SOURCES / crate.name
    if (target / STAMP).is_file() and (target / STAMP).read_text("utf-8") == stamp:
        return

    SOURCES.mkdir(parents=True, exist_ok=True)
    # Beside the target, so that a rename puts it in place whole.
    with tempfile.TemporaryDirectory(dir=SOURCES, prefix=".") as scratch:
        unpack(crate, Path(scratch))
        folder = Path(scratch) / str(crate)
        apply(patch, folder)
        manifest = folder / "Cargo.toml"
        manifest.write_text(patched_manifest(manifest.read_text("utf-8"), crate.version, crate.patched_version), "utf-8", newline="\n")
        (folder / STAMP).write_text(stamp, "utf-8", newline="\n")
        for path in [folder, *folder.rglob("*")]:
            os.utime(path, (DATE, DATE))
        if target.exists():
            shutil.rmtree(target)
        folder.rename(target)
    print(f"setup: {crate} with {patch.relative_to(ROOT).as_posix()} is in {target.relative_to(ROOT).as_posix()}")


def main() -> int:
    for crate in CRATES:
        try:
            write(crate)
            lock(crate)
        except (OSError, tarfile.TarError, PatchError) as error:
            print(f"setup: {crate}: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
