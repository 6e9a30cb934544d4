#!/usr/bin/env python3
"""The gateway and PgBouncer, side by side, in one run.

    make bench                      # builds, installs pgbouncer and pgbench when root, runs this
    benches/side_by_side.py [--seconds 8] [--rounds 3] [--clients 1,16,64] [--modes simple,extended,prepared]

Starts a `tenantry dev` in a temporary directory, provisions a tenant, starts a PgBouncer before the same database,
and drives both, and PostgreSQL itself, with `pgbench -S`. Targets take turns within each round, so that
a slow spell of the machine hits all of them. Prints medians and ratios; absolute figures are the
machine's, ratios are ours. Only loopback addresses are used, and everything started here is stopped.
"""
import argparse
import contextlib
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
TICKS = os.sysconf("SC_CLK_TCK")
POOL_SIZE = 20  # of the plan `standard`, which both sides use


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(what, condition, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    sys.exit(f"{what} did not happen within {seconds} s")


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


class Target:
    """Somewhere pgbench can connect to, and the process whose CPU counts for it."""

    def __init__(self, name, host, port, user, password, database, pid=None):
        self.name, self.pid = name, pid
        self.arguments = ["-h", host, "-p", str(port), "-U", user, database]
        self.environment = {**os.environ, "PGPASSWORD": password}

    def pgbench(self, *arguments):
        command = ["pgbench", "-n", *arguments, *self.arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True)

    def run(self, mode, clients, seconds):
        """Transactions a second, and proxy CPU in microseconds a transaction; None where it fails."""
        before = cpu_seconds(self.pid) if self.pid else 0.0
        result = self.pgbench("-S", "-M", mode, "-c", str(clients), "-T", str(seconds))
        after = cpu_seconds(self.pid) if self.pid else 0.0
        tps = re.search(r"^tps = ([0-9.]+)", result.stdout, re.M)
        done = re.search(r"transactions actually processed: (\d+)", result.stdout)
        if result.returncode != 0 or not tps or not done:
            reason = (result.stderr.strip().splitlines() or ["no output"])[0]
            print(f"  {self.name}: {reason}", file=sys.stderr)
            return None
        return float(tps.group(1)), (after - before) * 1e6 / max(1, int(done.group(1)))


@contextlib.contextmanager
def process(command, **options):
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, **options)
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            child.kill()


@contextlib.contextmanager
def tenantry(directory):
    """An installation. Yields what dev.json says, the tenant, and the process."""
    binary = ROOT / "target" / "release" / "tenantry"
    ports = ["--pg-port", "0", "--http-port", "0", "--admin-port", "0", "--control-plane-port", "0"]
    command = [str(binary), "dev", "--data-dir", str(directory), *ports]
    with process(command) as child:
        def ready():
            if child.poll() is not None:
                sys.exit("tenantry dev ended early")
            return (directory / "dev.json").exists()
        wait_for("the start of tenantry dev", ready)
        dev = json.loads((directory / "dev.json").read_text())
        create = [str(binary), "tenant", "create", "bench", "--region", "eu", "--plan", "standard"]
        created = subprocess.run(
            [*create, "--data-dir", str(directory), "-o", "json"], check=True, capture_output=True, text=True
        )
        yield dev, json.loads(created.stdout), child


@contextlib.contextmanager
def pgbouncer(directory, server, database):
    """A PgBouncer in transaction mode before the tenant's own database."""
    if not shutil.which("pgbouncer"):
        sys.exit("pgbouncer is missing: apt-get install pgbouncer")
    port = free_port()
    directory.mkdir()
    (directory / "users").write_text('"app" "bench"\n')
    (directory / "pgbouncer.ini").write_text(
        f"""[databases]
bench = host={server.hostname} port={server.port} dbname={database} user={server.username} password={server.password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {directory}/users
pool_mode = transaction
default_pool_size = {POOL_SIZE}
max_client_conn = 1000
log_connections = 0
log_disconnections = 0
ignore_startup_parameters = extra_float_digits
"""
    )
    command = ["pgbouncer", "-q", str(directory / "pgbouncer.ini")]
    if os.geteuid() == 0:
        shutil.chown(directory, "postgres")
        for file in directory.iterdir():
            shutil.chown(file, "postgres")
        command[1:1] = ["-u", "postgres"]
    with process(command, stderr=subprocess.DEVNULL) as child:
        target = Target("pgbouncer", "127.0.0.1", port, "app", "bench", "bench", child.pid)
        wait_for("the start of pgbouncer", lambda: target.pgbench("-t", "1", "-S").returncode == 0)
        yield target


def physical_database(server):
    query = "select datname from pg_database where datname like 't\\_%' order by oid desc limit 1"
    environment = {**os.environ, "PGPASSWORD": server.password}
    where = ["-h", server.hostname, "-p", str(server.port), "-U", server.username, "-d", "postgres"]
    found = subprocess.run(["psql", "-XAtq", *where, "-c", query], env=environment, check=True,
                           capture_output=True, text=True)
    return found.stdout.strip()


def measure(targets, modes, clients, rounds, seconds):
    runs = {}
    for mode in modes:
        for count in clients:
            for _ in range(rounds):
                for target in targets:
                    result = target.run(mode, count, seconds)
                    if result:
                        runs.setdefault((mode, count, target.name), []).append(result)
    return {key: tuple(map(statistics.median, zip(*values))) for key, values in runs.items()}


def report(medians, modes, clients):
    ratio = lambda a, b: f"{a / b:.2f}" if a and b else "–"
    print(f"{'mode':<9} {'c':>3} {'direct':>8} {'bouncer':>8} {'gateway':>8} "
          f"{'gw/direct':>9} {'gw/bouncer':>10} {'bouncer µs':>10} {'gw µs':>7} {'cpu ratio':>9}")
    for mode in modes:
        for count in clients:
            direct, bouncer, gateway = (
                medians.get((mode, count, name), (0, 0)) for name in ("direct", "pgbouncer", "gateway")
            )
            print(f"{mode:<9} {count:>3} {direct[0]:>8.0f} {bouncer[0]:>8.0f} {gateway[0]:>8.0f} "
                  f"{ratio(gateway[0], direct[0]):>9} {ratio(gateway[0], bouncer[0]):>10} "
                  f"{bouncer[1]:>10.1f} {gateway[1]:>7.1f} {ratio(gateway[1], bouncer[1]):>9}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", default="1,16,64")
    parser.add_argument("--modes", default="simple,extended,prepared")
    options = parser.parse_args()
    clients = [int(count) for count in options.clients.split(",")]
    modes = options.modes.split(",")
    with tempfile.TemporaryDirectory(prefix="tenantry-bench-") as scratch:
        os.chmod(scratch, 0o755)
        with tenantry(Path(scratch) / "dev") as (dev, created, child):
            door = urlsplit(created["connection_string"])
            server = urlsplit(next(c["admin_dsn"] for c in dev["clusters"] if c["region"] == "eu"))
            database = physical_database(server)
            gateway = Target("gateway", door.hostname, door.port, door.username, door.password, "bench", child.pid)
            direct = Target("direct", server.hostname, server.port, server.username, server.password, database)
            if gateway.pgbench("-i", "-s", "1", "-q").returncode != 0:
                sys.exit("pgbench -i through the gateway failed")
            with pgbouncer(Path(scratch) / "pgbouncer", server, database) as bouncer:
                targets = [direct, bouncer, gateway]
                report(measure(targets, modes, clients, options.rounds, options.seconds), modes, clients)


if __name__ == "__main__":
    main()
