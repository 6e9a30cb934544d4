"""What is measured of a target: each load returns figures by name, or None where the target fails it."""
import contextlib
import os
import re
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

from peers import CLIENTS_MAX, POOL_SIZE, wait_for

TICKS = os.sysconf("SC_CLK_TCK")
IDLE_CLIENTS = CLIENTS_MAX - 100
SLACK = 2 * POOL_SIZE  # server connections that come and go meanwhile


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_kib(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()).group(1))


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def pgbench(target, *arguments):
    """Throughput, CPU of the proxy a transaction, and the 99th percentile of a sample of the latencies."""
    with tempfile.TemporaryDirectory() as log:
        before = cpu_seconds(target.pid) if target.pid else 0.0
        result = target.pgbench(*arguments, "--log", f"--log-prefix={log}/run", "--sampling-rate=0.1")
        after = cpu_seconds(target.pid) if target.pid else 0.0
        latencies = sorted(
            int(line.split()[2]) for file in Path(log).iterdir() for line in file.read_text().splitlines()
        )
    tps = re.search(r"^tps = ([0-9.]+)", result.stdout, re.M)
    done = re.search(r"transactions actually processed: (\d+)", result.stdout)
    if result.returncode != 0 or not tps or not done:
        reason = (result.stderr.strip().splitlines() or ["no output"])[0]
        print(f"  {target.name}: {reason}", file=sys.stderr)
        return None
    p99 = latencies[int(len(latencies) * 0.99)] / 1e3 if latencies else 0.0
    return {"tps": float(tps.group(1)), "cpu_us": (after - before) * 1e6 / max(1, int(done.group(1))), "p99_ms": p99}


def transactions(mode, script, clients, seconds):
    builtin = {"read-only": "select-only", "tpc-b": "tpcb-like"}[script]
    threads = threads_needed(mode, script, clients)
    return lambda target: pgbench(
        target, "-b", builtin, "-M", mode, "-c", str(clients), "-j", str(threads), "-T", str(seconds)
    )


def threads_needed(mode, script, clients):
    """One, as long as that comes to an end. pgbench prepares each statement by a call that waits for the answer, on the
    thread that all its clients share: one that waits for a server connection keeps those that have one in a transaction
    from ever ending it."""
    return clients if mode == "prepared" and script == "tpc-b" and clients > POOL_SIZE else 1


def logins(seconds):
    """A login and one query, again and again. libpq's own hashing bounds the throughput, not the proxy."""
    return lambda target: pgbench(target, "-C", "-S", "-c", "8", "-j", "8", "-T", str(seconds))


@contextlib.contextmanager
def many_files():
    """pgbench inherits the limit; one client is one file."""
    old = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, old[1]), old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, old)


def idle_clients(target):
    """Memory of the proxy for each of many clients that have asked one thing and then stay."""
    if not target.pid:
        return {"kib": 0.0}
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script, many_files():
        # At different times, so that it is not the memory of many busy clients that is measured.
        script.write("\\set wait random(1, 3000)\n\\sleep :wait ms\nselect 1;\n\\sleep 3600 s\n")
        script.flush()
        files, before = open_files(target.pid), resident_kib(target.pid)
        with target.start_pgbench("-c", str(IDLE_CLIENTS), "-j", "4", "-f", script.name, "-t", "1"):
            wait_for("every client's login", lambda: open_files(target.pid) >= files + IDLE_CLIENTS - SLACK)
            time.sleep(4)  # for the last query, and for what is freed after it
            after = resident_kib(target.pid)
        wait_for("every client's end", lambda: open_files(target.pid) <= files + SLACK)
    return {"kib": (after - before) / IDLE_CLIENTS}


def medians(results):
    return {name: statistics.median(result[name] for result in results) for name in results[0]}
