#!/usr/bin/env python3
"""Check that every dependency's licence is one that deny.toml allows.

    scripts/licences.py [--texts FILE]

With --texts, what the licences themselves say goes into FILE, for a package: that of every crate and npm
package that is in the program on this kind of computer, each text once. The check believes what the packages declare: the crates to `cargo metadata`, for every platform, and
the npm packages that the window is made of to ui/package-lock.json. `cargo deny` also reads
the licence texts, but takes four minutes to install.
"""

import argparse
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# The tools that build the window are not part of it, except what the compiler leaves in it.
BUNDLED_TOOLS = {"svelte"}
TEXT = re.compile(r"(licen[cs]e|copying|notice|copyright)", re.IGNORECASE)


def satisfied(expression: str, allowed: set) -> bool:
    """Whether the SPDX `expression` can be met with `allowed` licences alone.

    The grammar is of the SPDX specification, annex D; `A/B` is Cargo's old form of `A OR B`.

    >>> [satisfied(e, {"MIT", "ISC"}) for e in ("MIT", "GPL-3.0", "GPL-3.0/MIT", "MIT AND GPL-3.0")]
    [True, False, True, False]
    >>> satisfied("(MIT OR GPL-3.0) AND ISC", {"MIT", "ISC"})
    True
    >>> satisfied("ISC OR MIT AND GPL-3.0", {"MIT", "ISC"})
    True
    >>> satisfied("MIT WITH Font-exception-2.0", {"MIT", "ISC"})
    False
    """
    tokens = re.findall(r"[()]|[^\s()]+", expression.replace("/", " OR "))
    tokens.append("")  # The end.

    def either():
        met = both()
        while tokens[0] == "OR":
            tokens.pop(0)
            met = both() or met
        return met

    def both():
        met = one()
        while tokens[0] == "AND":
            tokens.pop(0)
            met = one() and met
        return met

    def one():
        token = tokens.pop(0)
        if token == "(":
            met = either()
            if tokens.pop(0) != ")":
                raise ValueError(expression)
            return met
        if token in ("", ")", "AND", "OR", "WITH"):
            raise ValueError(expression)
        if tokens[0] == "WITH":
            token = f"{token} WITH {tokens[1]}"
            del tokens[:2]
        return token in allowed

    met = either()
    if tokens != [""]:
        raise ValueError(expression)
    return met


def crates(*options: str):
    """Each crate's name, licence and folder."""
    command = ["cargo", "metadata", "--format-version", "1", "--locked", *options]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        sys.exit("licences: `cargo metadata --locked` failed; see above")
    metadata = json.loads(done.stdout)
    # Not by the source: the crates under vendor/ have none.
    own = set(metadata["workspace_members"])
    used = {node["id"] for node in metadata["resolve"]["nodes"]}
    for package in metadata["packages"]:
        if package["id"] in used - own:
            folder = Path(package["manifest_path"]).parent
            yield f"crate {package['name']} {package['version']}", package["license"], folder


def npm_packages():
    """Each npm package's name, licence and folder."""
    lock = json.loads((ROOT / "ui" / "package-lock.json").read_text("utf-8"))
    for path, package in lock["packages"].items():
        name = path.rpartition("node_modules/")[2]
        # What is optional serves Node.js, and is not part of the page.
        if path and not package.get("optional") and (not package.get("dev") or name in BUNDLED_TOOLS):
            yield f"npm package {name} {package['version']}", package.get("license"), ROOT / "ui" / path


def write_texts(file: Path) -> None:
    """Write the licences of all that is in the program; what ships no text is named with its licence."""
    host = subprocess.run(["rustc", "--print", "host-tuple"], stdout=subprocess.PIPE, text=True, check=True)
    names_by_text, without = {}, []
    for name, licence, folder in [*crates("--filter-platform", host.stdout.strip()), *npm_packages()]:
        paths = sorted(p for p in folder.glob("*") if TEXT.match(p.name) and p.is_file()) if folder.is_dir() else []
        for path in paths:
            text = path.read_text("utf-8", errors="replace").strip()
            names_by_text.setdefault(text, []).append(name)
        if not paths:
            without.append(f"{name}: {licence}")
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8") as out:
        out.write("Lectern is made of these packages as well, under these licences.\n")
        for text, names in names_by_text.items():
            out.write(f"\n{'=' * 80}\n{', '.join(names)}\n{'=' * 80}\n\n{text}\n")
        out.write(f"\n{'=' * 80}\nThese ship no text of their own\n{'=' * 80}\n\n")
        out.writelines(f"{line}\n" for line in without)
    print(f"licences: {len(names_by_text)} texts in {file}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=Path, metavar="FILE", help="where to write what the licences say")
    arguments = parser.parse_args()
    if arguments.texts:
        write_texts(arguments.texts)
        return 0
    with (ROOT / "deny.toml").open("rb") as file:
        allowed = set(tomllib.load(file)["licenses"]["allow"])
    checked, refused = 0, []
    for name, licence, _ in [*crates(), *npm_packages()]:
        checked += 1
        try:
            fine = bool(licence) and satisfied(licence, allowed)
        except ValueError:
            fine = False
        if not fine:
            refused.append(f"{name}: {licence or 'declares no licence'}")
    for line in refused:
        print(f"licences: {line}", file=sys.stderr)
    print(f"licences: {checked - len(refused)} of {checked} packages have a licence that deny.toml allows")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
