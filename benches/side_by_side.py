#!/usr/bin/env python3
"""The gateway and PgBouncer, side by side, in one run.

    make bench                      # builds, installs pgbouncer and pgbench when root, runs this
    benches/side_by_side.py [--seconds 8] [--rounds 3] [--clients 1,16,64] [--pgbouncer PROGRAM] [--only NAME,…]

Starts a `tenantry dev` in a temporary directory, provisions a tenant, starts a PgBouncer before the same database,
and drives both, and PostgreSQL itself, with pgbench. Targets take turns within each round, so that a slow spell of
the machine hits all of them. Prints medians and ratios; absolute figures are the machine's, ratios are ours.
"""
import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

import loads
import peers

MODES = ("simple", "extended", "prepared")
SCRIPTS = ("read-only", "tpc-b")


def plan(options):
    """What to measure, by name, in the order of the table."""
    clients = [int(count) for count in options.clients.split(",")]
    for script in SCRIPTS:
        for mode in MODES:
            for count in clients:
                yield f"{script} {mode} {count}", loads.transactions(mode, script, count, options.seconds)
    yield "login", loads.logins(options.seconds)
    yield "idle", loads.idle_clients


def measure(load, targets, rounds):
    results = {target.name: [] for target in targets}
    for _ in range(rounds):
        for target in targets:
            result = load(target)
            if result:
                results[target.name].append(result)
    return {name: loads.medians(found) if found else {} for name, found in results.items()}


HEAD = ("| load | direct tps | PgBouncer tps | gateway tps | gateway / direct | gateway / PgBouncer "
        "| PgBouncer CPU µs | gateway CPU µs | CPU ratio | PgBouncer p99 ms | gateway p99 ms | p99 ratio |")


def row(name, figures):
    direct, bouncer, gateway = (figures[peer] for peer in ("direct", "pgbouncer", "gateway"))
    number = lambda of, key, digits: f"{of[key]:.{digits}f}" if key in of else "fails"
    ratio = lambda a, b, key: f"{a[key] / b[key]:.2f}" if a.get(key) and b.get(key) else "–"
    return "| " + " | ".join([
        name, number(direct, "tps", 0), number(bouncer, "tps", 0), number(gateway, "tps", 0),
        ratio(gateway, direct, "tps"), ratio(gateway, bouncer, "tps"),
        number(bouncer, "cpu_us", 1), number(gateway, "cpu_us", 1), ratio(gateway, bouncer, "cpu_us"),
        number(bouncer, "p99_ms", 2), number(gateway, "p99_ms", 2), ratio(gateway, bouncer, "p99_ms"),
    ]) + " |"


def report(options, targets):
    print(HEAD + "\n|" + "---|" * HEAD.count(" | ") + "---|", flush=True)
    chosen = options.only.split(",") if options.only else None
    for name, load in plan(options):
        if chosen and not any(part in name for part in chosen):
            continue
        if name == "idle":
            figures = measure(load, targets[1:], 1)
            print("\nMemory of an idle client, KiB: " + ", ".join(
                f"{peer} {found['kib']:.1f}" for peer, found in figures.items()))
        else:
            print(row(name, measure(load, targets, options.rounds)), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", default="1,16,64")
    parser.add_argument("--pgbouncer", default="pgbouncer", help="the program to compare with")
    parser.add_argument("--only", help="loads whose names contain one of these, such as prepared,login")
    options = parser.parse_args()
    if not shutil.which(options.pgbouncer):
        sys.exit("pgbouncer is missing: apt-get install pgbouncer, or name another by --pgbouncer")
    with tempfile.TemporaryDirectory(prefix="tenantry-bench-") as scratch:
        os.chmod(scratch, 0o755)
        with peers.installation(Path(scratch) / "dev") as (gateway, direct):
            if gateway.pgbench("-i", "-s", "10", "-q").returncode != 0:
                sys.exit("pgbench -i through the gateway failed")
            with peers.pgbouncer(options.pgbouncer, Path(scratch) / "pgbouncer", direct) as bouncer:
                print(f"PgBouncer {peers.version_of(options.pgbouncer)}; {options.rounds} rounds of "
                      f"{options.seconds} s; {os.cpu_count()} cores; medians\n")
                report(options, [direct, bouncer, gateway])


if __name__ == "__main__":
    main()
