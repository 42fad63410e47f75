"""All benches, or one, and a table of all that was measured: ``benchmarks/run.py [all|NAME]``."""

from __future__ import annotations

import importlib
import sys

from measure import parser, say, table

NAMES = (
    "startup",
    "scoring",
    "folder",
    "training",
    "memory",
    "ledger",
    "clips",
    "prepare",
    "audit",
    "faces",
    "blends",
    "edits",
    "shards",
    "serving",
    "page",
    "install",
)


def main(arguments=None) -> int:
    made = parser("run", __doc__.splitlines()[0])
    made.add_argument("names", nargs="*", default=["all"], metavar="NAME", help=", ".join(NAMES))
    made.set_defaults(rounds=None)
    options = made.parse_args(arguments)
    names = NAMES if "all" in options.names else options.names
    for name in names:
        if name not in NAMES:
            made.error(f"no bench {name!r}: there are {', '.join(NAMES)}")
    passed = ["--results", str(options.results)]
    passed += ["--quick"] * options.quick + ["--dry"] * options.dry
    passed += ["--peers", str(options.peers)] * (options.peers is not None)
    passed += ["--rounds", str(options.rounds)] * (options.rounds is not None)
    rows, failed = [], []
    for name in names:
        say(f"\n== {name}")
        try:
            rows += importlib.import_module(name).main(passed)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the other benches go on
            say(f"{name}: {error}")
            failed.append(name)
    print(f"\n{table(rows)}")
    missed = [row.what for row in rows if row.reached == "no"]
    asked = sum(row.asked is not None for row in rows)
    print(f"\n{asked - len(missed)} of {asked} asked for are reached")
    if failed:
        print(f"could not be measured: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
