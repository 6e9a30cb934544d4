#!/usr/bin/env python3
"""SQL over HTTP beside our own wire protocol, in one run.

    make bench-http                 # builds, installs pgbench and h2load when root, runs this
    benches/over_http.py [--seconds 8] [--rounds 3] [--clients 16] [--rows 100000]

Starts a `tenantry dev` in a temporary directory and a tenant, and asks its gateway for the same in both ways, in turns,
so that a slow spell of the machine hits both: a row by its key from as many clients as are wanted, over HTTP/1.1 kept
alive and by the extended protocol; and many rows, as a result over HTTP and by COPY to stdout. Prints medians and ratios;
absolute figures are the machine's, ratios are ours.
"""
import argparse
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import peers

ONE_ROW = "select abalance from pgbench_accounts where aid = "
GOALS = {"one row": 0.6, "rows": 0.5}
RECEIVED_AT_ONCE = 1 << 20


def requests_by_wire(gateway, options):
    """pgbench parses, binds and executes the statement each time, as a request over HTTP does."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(f"\\set aid random(1, 100000)\n{ONE_ROW}:aid;\n")
        script.flush()
        load = ["-M", "extended", "-f", script.name, "-c", str(options.clients), "-T", str(options.seconds)]
        said = gateway.pgbench(*load)
    return float(re.search(r"^tps = ([0-9.]+)", said.stdout, re.M).group(1))


def requests_by_http(gateway, options):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as body:
        json.dump({"query": ONE_ROW + "$1", "params": [4711]}, body)
        body.flush()
        command = ["h2load", "--h1", "-c", str(options.clients), "-D", str(options.seconds), "-d", body.name,
                   "-H", f"authorization: Bearer {gateway.api_key}", gateway.http_endpoint]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    failed = sum(map(int, re.search(r"status codes: \d+ 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", said).groups()))
    if failed:
        sys.exit(f"{failed} requests failed:\n{said}")
    return float(re.search(r"([0-9.]+) req/s", said).group(1))


def statement(rows):
    return f"select aid, bid, abalance, filler from pgbench_accounts where aid <= {rows}"


def bytes_by_copy(gateway, options):
    """A second, by psql, whose own work is as little as a client's can be: it writes what it gets."""
    copy = ["psql", "-XAtq", *gateway.arguments, "-c", f"copy ({statement(options.rows)}) to stdout"]
    began = time.monotonic()
    said = subprocess.run(copy, env=gateway.environment, stdout=subprocess.PIPE, check=True).stdout
    return len(said) / (time.monotonic() - began)


def bytes_by_http(accept):
    def load(gateway, options):
        host, port = gateway.http_endpoint.split("/")[2].split(":")
        body = json.dumps({"query": statement(options.rows), "arrayMode": True})
        head = (f"POST /sql HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {gateway.api_key}\r\n"
                f"accept: {accept}\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n")
        began, received, last = time.monotonic(), 0, b""
        with socket.create_connection((host, int(port))) as stream:
            stream.sendall((head + body).encode())
            while piece := stream.recv(RECEIVED_AT_ONCE):
                received, last = received + len(piece), (last + piece)[-8:]
        if not last.endswith(b"0\r\n\r\n"):
            sys.exit(f"the result of {received} bytes is not whole")
        return received / (time.monotonic() - began)
    return load


def measure(loads, rounds):
    found = {name: [] for name in loads}
    for _ in range(rounds):
        for name, load in loads.items():
            found[name].append(load())
    return {name: statistics.median(values) for name, values in found.items()}


def report(name, unit, wire, http, goal):
    ratio = http / wire
    verdict = "" if goal is None else ("reached" if ratio >= goal else "missed")
    goal = "" if goal is None else f"{goal:.1f}"
    print(f"| {name} | {wire:.0f} {unit} | {http:.0f} {unit} | {ratio:.2f} | {goal} | {verdict} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--rows", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        with peers.installation(Path(directory) / "dev") as (gateway, _):
            gateway.pgbench("-i", "-q", "-s", "1", check=True)
            rows = measure({
                "wire": lambda: requests_by_wire(gateway, options),
                "http": lambda: requests_by_http(gateway, options),
            }, options.rounds)
            formats = {"JSON": "application/json", "NDJSON": "application/x-ndjson", "CSV": "text/csv"}
            loads = {name: lambda accept=accept: bytes_by_http(accept)(gateway, options)
                     for name, accept in formats.items()}
            streams = measure({"copy": lambda: bytes_by_copy(gateway, options), **loads}, options.rounds)
    print("| load | wire | HTTP | ratio | goal | |\n|---|---|---|---|---|---|")
    report(f"one row, {options.clients} clients", "/s", rows["wire"], rows["http"], GOALS["one row"])
    for name in formats:
        goal = GOALS["rows"] if name == "JSON" else None
        report(f"{options.rows:,} rows, {name}", "MB/s", streams["copy"] / 1e6, streams[name] / 1e6, goal)


if __name__ == "__main__":
    main()
