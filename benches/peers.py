"""What is measured: an installation of ours, a PgBouncer, and PostgreSQL itself, before one database.

Only loopback addresses are used, and everything started here is stopped.
"""
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
POOL_SIZE = 20  # of the plan `standard`, which both sides use
CLIENTS_MAX = 500  # of the same plan


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


class Target:
    """Somewhere pgbench can connect to, and the process whose CPU and memory count for it."""

    def __init__(self, name, host, port, user, password, database, pid=None):
        self.name, self.pid = name, pid
        self.arguments = ["-h", host, "-p", str(port), "-U", user, database]
        self.environment = {**os.environ, "PGPASSWORD": password}

    def pgbench(self, *arguments, **options):
        command = ["pgbench", "-n", *arguments, *self.arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, **options)

    def start_pgbench(self, *arguments):
        command = ["pgbench", "-n", *arguments, *self.arguments]
        return process(command, env=self.environment, stderr=subprocess.DEVNULL)


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
def installation(directory):
    """The gateway with all it needs, and a tenant. Yields two targets: the gateway, and its server."""
    binary = ROOT / "target" / "release" / "tenantry"
    ports = ["--pg-port", "0", "--http-port", "0", "--admin-port", "0", "--control-plane-port", "0"]
    with process([str(binary), "dev", "--data-dir", str(directory), *ports], stderr=subprocess.DEVNULL) as child:
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
        made = json.loads(created.stdout)
        door = urlsplit(made["connection_string"])
        server = urlsplit(next(c["admin_dsn"] for c in dev["clusters"] if c["region"] == "eu"))
        gateway = Target("gateway", door.hostname, door.port, door.username, door.password, "bench", child.pid)
        gateway.http_endpoint, gateway.api_key = made["http_endpoint"], made["api_key"]
        direct = Target("direct", server.hostname, server.port, server.username, server.password,
                        physical_database(server))
        yield gateway, direct


def physical_database(server):
    query = "select datname from pg_database where datname like 't\\_%' order by oid desc limit 1"
    environment = {**os.environ, "PGPASSWORD": server.password}
    where = ["-h", server.hostname, "-p", str(server.port), "-U", server.username, "-d", "postgres"]
    found = subprocess.run(["psql", "-XAtq", *where, "-c", query], env=environment, check=True,
                           capture_output=True, text=True)
    return found.stdout.strip()


def version_of(program):
    said = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
    return re.search(r"[0-9]+(\.[0-9]+)+", said).group(0)


@contextlib.contextmanager
def pgbouncer(program, directory, direct):
    """A PgBouncer in transaction mode before the same database."""
    port = free_port()
    directory.mkdir()
    _, host, _, server_port, _, _, database = direct.arguments
    (directory / "users").write_text(f'"app" "{role_with_verifier(direct)}"\n')
    # Prepared statements came with 1.21; an older one would not start with the setting.
    prepared = "max_prepared_statements = 200" if tuple(map(int, version_of(program).split(".")))[:2] >= (1, 21) else ""
    (directory / "pgbouncer.ini").write_text(
        f"""[databases]
bench = host={host} port={server_port} dbname={database}
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
{prepared}
"""
    )
    command = [program, "-q", str(directory / "pgbouncer.ini")]
    if os.geteuid() == 0:
        shutil.chown(directory, "postgres")
        for file in directory.iterdir():
            shutil.chown(file, "postgres")
        command[1:1] = ["-u", "postgres"]
    with process(command, stderr=subprocess.DEVNULL) as child:
        target = Target("pgbouncer", "127.0.0.1", port, "app", "bench", "bench", child.pid)
        wait_for("the start of pgbouncer", lambda: target.pgbench("-t", "1", "-S").returncode == 0)
        yield target


def role_with_verifier(direct):
    """Makes a role `app` with the password `bench` and returns its verifier. With that PgBouncer checks its clients
    and logs in to the server without hashing a password each time, which we do not do either."""
    script = ("set password_encryption = 'scram-sha-256'; create role app superuser login password 'bench';"
              "select rolpassword from pg_authid where rolname = 'app'")
    said = subprocess.run(["psql", "-XAtq", *direct.arguments, "-c", script],
                          env=direct.environment, check=True, capture_output=True, text=True)
    return said.stdout.strip()
