#!/usr/bin/env python3
"""Check that every dependency's licence is one that deny.toml allows.

It believes what the packages declare: the crates to `cargo metadata`, for every platform, and
the npm packages that the window is made of to ui/package-lock.json. `cargo deny` also reads
the licence texts, but takes four minutes to install.
"""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# The tools that build the window are not part of it, except what the compiler leaves in it.
BUNDLED_TOOLS = {"svelte"}


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


def crates():
    command = ["cargo", "metadata", "--format-version", "1", "--locked"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        sys.exit("licences: `cargo metadata --locked` failed; see above")
    metadata = json.loads(done.stdout)
    # Not by the source: the crates under vendor/ have none.
    own = set(metadata["workspace_members"])
    for package in metadata["packages"]:
        if package["id"] not in own:
            yield f"crate {package['name']} {package['version']}", package["license"]


def npm_packages():
    lock = json.loads((ROOT / "ui" / "package-lock.json").read_text("utf-8"))
    for path, package in lock["packages"].items():
        name = path.rpartition("node_modules/")[2]
        if path and (not package.get("dev") or name in BUNDLED_TOOLS):
            yield f"npm package {name} {package['version']}", package.get("license")


def main() -> int:
    with (ROOT / "deny.toml").open("rb") as file:
        allowed = set(tomllib.load(file)["licenses"]["allow"])
    checked, refused = 0, []
    for name, licence in [*crates(), *npm_packages()]:
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
