# SPDX-License-Identifier: Apache-2.0
"""Real processes of the program under test, each in a home of its own, all ended when the test ends.

No sleeps that hope: `wait_until` polls a condition and fails with what it last saw.
"""
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time


class Failure(AssertionError):
    pass


def check(condition, *what):
    if not condition:
        raise Failure(" ".join(str(part) for part in what))


def wait_until(what, condition, seconds=60.0):
    """Polls until `condition()` is true; its last value is in the error."""
    deadline = time.monotonic() + seconds
    value = None
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.1)
    raise Failure(f"waited {seconds:.0f} s for {what}; last seen: {value!r}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def port_of(address):
    return int(address.rsplit(":", 1)[1])


class Node:
    """One `bulbil` or `bulbil relay` process."""

    def __init__(self, cluster, role, bootstrap, environment=None, options=()):
        self.cluster = cluster
        self.environment = environment  # on top of ours
        self.options = options
        self.role = role
        self.bootstrap = bootstrap
        self.port = free_port()
        self.home = os.path.join(cluster.folder, f"node-{self.port}")
        self.log_path = self.home + ".log"
        self.process = None
        self.start()

    def start(self):
        command = [self.cluster.program] + (["relay"] if self.role == "relay" else [])
        command += ["--port", str(self.port), "--home", self.home, "--network", self.cluster.network]
        command += self.options
        for target in self.bootstrap or ["none"]:
            command += ["--bootstrap", target]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                            env=dict(os.environ, **(self.environment or {})))

    @property
    def address(self):
        return f"localhost:{self.port}"

    def alive(self):
        return self.process.poll() is None

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def ready(self):
        check(self.alive(), "node", self.port, "ended:", self.log()[-2000:])
        return "ready" in self.log()

    def status(self):
        """The node's own status, or None while it cannot be asked."""
        result = self.cluster.run("status", "--json", "--node", str(self.port), "--home", self.home, expect=None)
        return json.loads(result.stdout) if result.returncode == 0 else None

    def kill(self):
        self.process.kill()
        self.process.wait()

    def terminate(self, seconds=30):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=seconds)
        check(code == 0, "node", self.port, "exited", code, "after SIGTERM:", self.log()[-2000:])


class Cluster(contextlib.AbstractContextManager):
    def __init__(self, program, network="local"):
        self.program = os.path.abspath(program)
        self.network = network
        self.folder = tempfile.mkdtemp(prefix="bulbil-e2e-")
        self.nodes = []

    def __exit__(self, kind, error, trace):
        for node in self.nodes:
            if node.alive():
                node.process.kill()
        if kind is not None:
            for node in self.nodes:
                print(f"--- log of {node.port} ({node.role}) ---\n{node.log()[-1500:]}")
        for node in self.nodes:
            node.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def live(self):
        return [node for node in self.nodes if node.alive()]

    def add(self, role="node", *options):
        """Starts a node that joins through two live ones (the first founds the ring) and waits until it is ready."""
        node = Node(self, role, [other.address for other in self.live()[:2]], options=options)
        self.nodes.append(node)
        wait_until(f"node {node.port} to be ready", node.ready, 60)
        return node

    def refuses(self, network):
        """A node of that network cannot join this one, and is told why."""
        told = self.run("--network", network, "--port", str(free_port()), "--bootstrap", self.nodes[0].address, "--home",
                        os.path.join(self.folder, "other"), "--join-timeout", "20s", expect=4).stderr.decode()
        check("network" in told, "not told why:", told)

    def run(self, *arguments, stdin=b"", expect=0, timeout=180):
        """Runs a client command; `expect=None` takes any exit code."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("BULBIL_")}
        result = subprocess.run([self.program, *arguments], input=stdin, capture_output=True, timeout=timeout, env=environment)
        check(expect is None or result.returncode == expect, "exit", result.returncode, "of", arguments[:3],
              result.stderr.decode(errors="replace")[-1500:])
        return result

    # The ring as its members report it.
    def ring_is_ideal(self):
        """True if every live node's successors are the live nodes in ring order, and its predecessor the last of them."""
        status = {node.port: node.status() for node in self.live()}
        if any(value is None for value in status.values()):
            return False
        order = sorted(status, key=lambda port: status[port]["ring"]["point"])
        for place, port in enumerate(order):
            others = order[place + 1:] + order[:place]
            ring = status[port]["ring"]
            successors = [port_of(address) for address in ring["successors"]]
            if others:
                if successors != others[:8] or port_of(ring["predecessor"]) != others[-1]:
                    return False
            elif successors not in ([], [port]):
                return False
        return True

    def self_as_successor(self):
        """Ports that name themselves their successor although another node lives."""
        found = []
        if len(self.live()) > 1:
            for node in self.live():
                status = node.status()
                if status and node.port in [port_of(address) for address in status["ring"]["successors"]]:
                    found.append(node.port)
        return found

    # People.
    def identity(self, name):
        home = os.path.join(self.folder, "home-" + name)
        address = self.run("keys", "new", "--no-input", "--no-passphrase", "--name", name, "--home", home).stdout.decode().strip()
        return Identity(self, name, home, address)


class Identity:
    def __init__(self, cluster, name, home, address):
        self.cluster, self.name, self.home, self.address = cluster, name, home, address

    def _bootstrap(self, count=2):
        return [word for node in self.cluster.live()[:count] for word in ("--bootstrap", node.address)]

    def send(self, to_address, text, *options, expect=0):
        return self.cluster.run("send", to_address, *options, *self._bootstrap(), "--home", self.home, stdin=text, expect=expect)

    def poll(self, *options, expect=0):
        """(messages, summary) of one poll."""
        result = self.cluster.run("poll", "--as", self.name, "--json", *options, *self._bootstrap(), "--home", self.home,
                                  expect=expect)
        lines = [json.loads(line) for line in result.stdout.decode().splitlines()]
        if expect != 0:
            return [], None
        check(lines and lines[-1]["type"] == "summary", "no summary:", result.stdout[-500:])
        messages = [line for line in lines if line["type"] == "message"]
        check(lines[-1]["new"] == len(messages), "summary says", lines[-1]["new"], "of", len(messages))
        return messages, lines[-1]
