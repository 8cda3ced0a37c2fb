#!/usr/bin/env python3
"""Start the installed program of a system in a folder, and have it answer from its samples.

    scripts/drive_deb.py ROOT PROGRAM
"""

import sys

from window import ENVIRONMENT, Window, driver, wait

QUESTION = "What does a flashing amber lamp on the TL-40 mean?"


def main() -> None:
    root, program = sys.argv[1:]
    home = {"HOME": "/home/ada", "LECTERN_MODELS": "/home/ada/models", "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    inside = ["chroot", "--userspec=ada:ada", root, "env", "-i", *(f"{name}={value}" for name, value in (ENVIRONMENT | home).items())]
    with driver({}, before=inside) as (address, _):
        window = Window(address, program)
        # What a person clicks who has just started it.
        window.click("[data-testid=welcome] .samples")
        wait(window.has_read_all, "the samples")
        window.type("[data-testid=composer] textarea", QUESTION)
        window.click("[data-testid=send]")
        window.wait_for("[data-testid=answer][data-state=done]")
        answer = window.text("[data-testid=answer]")
        print(f"{QUESTION}\n{answer}")
        window.click("[data-testid^=citation-]")
        window.wait_for("[data-testid=highlight], [data-testid=highlight-rect]")
        window.close()


if __name__ == "__main__":
    main()
