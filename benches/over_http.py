#!/usr/bin/env python3
"""SQL over HTTP beside our own wire protocol, in one run.

    make bench-http                 # builds, installs pgbench and h2load when root, runs this
    benches/over_http.py [--seconds 8] [--rounds 5] [--clients 16] [--rows 100000]

Starts a `tenantry dev` in a temporary directory and a tenant, and asks its gateway for the same in both ways: a row by its
key from as many clients as are wanted, over HTTP/1.1 kept alive and by the extended protocol, which parses, binds and
executes the statement each time as a request over HTTP does; and many rows, as a result over HTTP and by COPY to stdout,
each over and over on a socket that is read as fast as Python can, from the request to the last byte. Nothing is measured
before each load has run once. In each round all loads run one after the other, every other round in the opposite order,
so that a slow spell of the machine hits both, and a ratio is of one round. Prints medians, and the least and the largest
ratio; absolute figures are the machine's, ratios are ours.
"""
import argparse
import base64
import hashlib
import hmac
import json
import os
import re
import secrets
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import peers

KEY = 4711
ONE_ROW = "select abalance from pgbench_accounts where aid = "
GOALS = {"one row": 0.6, "rows": 0.5}
RECEIVED_AT_ONCE = 1 << 20
WARM_UP_SECONDS = 2


def requests_by_wire(gateway, options, seconds):
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(f"\\set aid {KEY}\n{ONE_ROW}:aid;\n")
        script.flush()
        load = ["-M", "extended", "-f", script.name, "-c", str(options.clients), "-T", str(seconds)]
        said = gateway.pgbench(*load, check=True)
    return float(re.search(r"^tps = ([0-9.]+)", said.stdout, re.M).group(1))


def requests_by_http(gateway, options, seconds):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as body:
        json.dump({"query": ONE_ROW + "$1", "params": [KEY]}, body)
        body.flush()
        command = ["h2load", "--h1", "-c", str(options.clients), "-D", str(seconds), "-d", body.name,
                   "-H", f"authorization: Bearer {gateway.api_key}", gateway.http_endpoint]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    failed = sum(map(int, re.search(r"status codes: \d+ 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", said).groups()))
    if failed:
        sys.exit(f"{failed} requests failed:\n{said}")
    return float(re.search(r"([0-9.]+) req/s", said).group(1))


def statement(rows):
    return f"select aid, bid, abalance, filler from pgbench_accounts where aid <= {rows}"


def received(stream, is_last):
    """Bytes up to the end, which `is_last` finds in the last eight."""
    count, last, buffer = 0, b"", memoryview(bytearray(RECEIVED_AT_ONCE))
    while not is_last(last):
        length = stream.recv_into(buffer)
        if length == 0:
            sys.exit(f"a result ended after {count} bytes: {last}")
        count, last = count + length, (last + bytes(buffer[max(0, length - 8):length]))[-8:]
    return count


def for_seconds(seconds, once):
    """Bytes a second, for as long as that and once at least."""
    began, count = time.monotonic(), once()
    while time.monotonic() - began < seconds:
        count += once()
    return count / (time.monotonic() - began)


def bytes_by_copy(gateway, options, seconds):
    query = f"copy ({statement(options.rows)}) to stdout".encode() + b"\0"
    question = b"Q" + struct.pack("!i", len(query) + 4) + query
    with Wire(gateway) as wire:
        def once():
            wire.stream.sendall(question)
            return received(wire.stream, lambda last: last.endswith(b"Z\0\0\0\x05I"))
        return for_seconds(seconds, once)


def bytes_by_http(accept):
    def load(gateway, options, seconds):
        host, port = gateway.http_endpoint.split("/")[2].split(":")
        body = json.dumps({"query": statement(options.rows), "arrayMode": True})
        question = (f"POST /sql HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {gateway.api_key}\r\n"
                    f"accept: {accept}\r\ncontent-length: {len(body)}\r\n\r\n{body}").encode()
        with socket.create_connection((host, int(port))) as stream:
            def once():
                stream.sendall(question)
                # No row ends so: the last column is padded with blanks.
                return received(stream, lambda last: last.endswith(b"0\r\n\r\n"))
            return for_seconds(seconds, once)
    return load


class Wire:
    """A client of the PostgreSQL protocol that does nothing with what it is sent."""

    def __init__(self, target):
        _, host, _, port, _, self.user, self.database = target.arguments
        self.password = target.environment["PGPASSWORD"]
        self.stream = socket.create_connection((host, int(port)))

    def __enter__(self):
        words = b"".join(word.encode() + b"\0" for word in ("user", self.user, "database", self.database)) + b"\0"
        self.stream.sendall(struct.pack("!ii", len(words) + 8, 196608) + words)
        self.log_in()
        while self.message()[0] != b"Z":
            pass
        return self

    def __exit__(self, *_):
        self.stream.close()

    def message(self):
        tag, length = struct.unpack("!ci", self.exactly(5))
        body = self.exactly(length - 4)
        if tag == b"E":
            sys.exit(f"an error: {body}")
        return tag, body

    def exactly(self, count):
        read = b""
        while len(read) < count:
            piece = self.stream.recv(count - len(read))
            if not piece:
                sys.exit("the connection ended")
            read += piece
        return read

    def answer(self, words):
        self.stream.sendall(b"p" + struct.pack("!i", len(words) + 4) + words)

    def log_in(self):
        """SCRAM-SHA-256 (RFC 5802, RFC 7677)."""
        self.message()
        first = "n=,r=" + secrets.token_urlsafe(18)
        words = b"n,," + first.encode()
        self.answer(b"SCRAM-SHA-256\0" + struct.pack("!i", len(words)) + words)
        challenge = self.message()[1][4:].decode()
        nonce, salt, rounds = (part[2:] for part in challenge.split(","))
        salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(), base64.b64decode(salt), int(rounds))
        key = hmac.digest(salted, b"Client Key", "sha256")
        proved = f"c=biws,r={nonce}"
        signed = hmac.digest(hashlib.sha256(key).digest(), f"{first},{challenge},{proved}".encode(), "sha256")
        proof = base64.b64encode(bytes(a ^ b for a, b in zip(key, signed))).decode()
        self.answer(f"{proved},p={proof}".encode())


def measure(loads, options):
    """What each load had in each round."""
    for load in loads.values():
        load(WARM_UP_SECONDS)
    found = {name: [] for name in loads}
    for number in range(options.rounds):
        names = list(loads) if number % 2 == 0 else list(reversed(loads))
        for name in names:
            found[name].append(loads[name](options.seconds))
    return found


def report(name, unit, wire, http, goal):
    ratios = [ours / other for ours, other in zip(http, wire)]
    ratio = statistics.median(ratios)
    verdict = "" if goal is None else ("reached" if ratio >= goal else "missed")
    goal = "" if goal is None else f"{goal:.1f}"
    wire, http = statistics.median(wire), statistics.median(http)
    print(f"| {name} | {wire:.0f} {unit} | {http:.0f} {unit} | {ratio:.2f} | {min(ratios):.2f} to {max(ratios):.2f} "
          f"| {goal} | {verdict} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--rows", type=int, default=100_000)
    options = parser.parse_args()
    formats = {"JSON": "application/json", "NDJSON": "application/x-ndjson", "CSV": "text/csv"}
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        with peers.installation(Path(directory) / "dev") as (gateway, _):
            gateway.pgbench("-i", "-q", "-s", "1", check=True)

            def of(load):
                return lambda seconds: load(gateway, options, seconds)
            rows = measure({"wire": of(requests_by_wire), "http": of(requests_by_http)}, options)
            loads = {name: of(bytes_by_http(accept)) for name, accept in formats.items()}
            streams = measure({"copy": of(bytes_by_copy), **loads}, options)
    megabytes = {name: [count / 1e6 for count in counts] for name, counts in streams.items()}
    print("| load | wire | HTTP | ratio | of rounds | goal | |\n|---|---|---|---|---|---|---|")
    report(f"one row, {options.clients} clients", "/s", rows["wire"], rows["http"], GOALS["one row"])
    for name in formats:
        goal = GOALS["rows"] if name == "JSON" else None
        report(f"{options.rows:,} rows, {name}", "MB/s", megabytes["copy"], megabytes[name], goal)


if __name__ == "__main__":
    main()
