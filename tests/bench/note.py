#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# targets: bulbil
# packages: tor
"""A note from `send --now` to `poll --wait` printed, beside a connect to a Tor onion service and one round trip of 256 bytes.

usage: note.py BUILD_FOLDER [--rounds N] [--notes N] [--without-tor]
Ours: eight nodes; sender and reader each ask a running node of their own, and the reader has been waiting for some seconds, so its
circuits stand, and the sender's node has ready ones. The time runs from the start of the process `send` to the line that `poll`
prints. Tor: clients and service run, the descriptor is cached, introduction and rendezvous are new for every connect; with the
live network's parameters and tuned. The ratio is ours to the better of the two, the median over the rounds.

One-shot and cold: `send` and then `poll`, each without a node of its own, beside a Tor client that starts with nothing.
Alone it writes build/reports/note-bench.json; `./dev bench circuits` puts note_warm into its own report.
"""
import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from types import SimpleNamespace

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "peers", "tor"))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))
import harness
import network as tornet

NODES = 8
WAITED = (1.5, 4.0)  # seconds for which the reader has been waiting when the note is sent
TEXT = b"x" * 256
TUNED = "cc_alg=2 cc_cwnd_init=500 cc_cwnd_min=500 circ_max_cell_queue_size=5000 circ_max_cell_queue_size_out=5000"


def say(*what):
    print(*what, file=sys.stderr, flush=True)


class Ours:
    def __init__(self, build):
        self.cluster = harness.Cluster(os.path.join(build, "bulbil"))
        for _ in range(NODES):
            self.cluster.add()
        harness.wait_until("one ring", self.cluster.ring_is_ideal, 120)
        self.alice, self.bob = self.cluster.identity("alice"), self.cluster.identity("bob")
        self.chooser = random.Random(1)

    def _node(self, index):
        node = self.cluster.nodes[index]
        return ["--node", os.path.join(node.home, "run", f"{node.port}.sock")]

    def _spawn(self, *arguments):
        return subprocess.Popen([self.cluster.program, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)

    def _poll(self, where, *options):
        return self._spawn("poll", "--as", "bob", "--json", *options, *where, "--home", self.bob.home)

    def _send(self, where):
        process = self._spawn("send", self.bob.address, "-q", "--now", *where, "--home", self.alice.home)
        process.stdin.write(TEXT)
        process.stdin.close()
        return process

    @staticmethod
    def _end(process, what):
        code = process.wait(120)
        harness.check(code == 0, what, "exited", code, process.stderr.read().decode(errors="replace"))

    @staticmethod
    def _printed(reader):
        line = json.loads(reader.stdout.readline() or b"{}")
        if line.get("text") != TEXT.decode():  # what it says on stderr ends only with the process
            raise harness.Failure(f"poll printed {line}: " + reader.stderr.read().decode(errors="replace"))

    def warm(self):
        """(milliseconds to the printed note, milliseconds of the whole `send`)."""
        reader = self._poll(self._node(-1), "--wait", "60s")
        time.sleep(self.chooser.uniform(*WAITED))
        start = time.perf_counter()
        sender = self._send(self._node(0))
        self._printed(reader)
        took = time.perf_counter() - start
        self._end(sender, "send")
        sent = time.perf_counter() - start
        self._end(reader, "poll")
        return took * 1000, sent * 1000

    def one_shot(self):
        """Milliseconds of `send`, then of `poll` up to the printed note, both as light clients."""
        where = [word for node in self.cluster.nodes[:2] for word in ("--bootstrap", node.address)]
        start = time.perf_counter()
        self._end(self._send(where), "send")
        reader = self._poll(where)
        self._printed(reader)
        took = time.perf_counter() - start
        self._end(reader, "poll")
        return took * 1000

    def stop(self):
        self.cluster.__exit__(None, None, None)


class Tor:
    """A private Tor network with one onion service behind the echo server."""

    def __init__(self, port, params, extra):
        self.net = tornet.Net(SimpleNamespace(tor="tor", dir=None, keep=False, base_port=port, auths=3, relays=5, exits=3, clients=1,
                                              services=1, params=params, extra=extra))
        self.net.layout()
        self.net.start()
        self.number = 0

    def wait(self):
        self.net.wait()
        with open(os.path.join(self.net.nodes["service0"]["dir"], "service", "hostname"), encoding="ascii") as file:
            self.onion = file.read().strip()
        harness.wait_until("the onion service", self._reached, 240)

    def _reached(self):
        try:
            return self.connect(self.net.nodes["client0"]["socks"]) > 0
        except (OSError, EOFError, AssertionError):
            time.sleep(1)
            return False

    def connect(self, socks):
        self.number += 1  # a user name of its own: circuits of its own
        start = time.perf_counter()
        stream = tornet.socks_connect(socks, self.onion, 80, user=f"u{self.number}", timeout=60)
        stream.sendall(b"E\n" + TEXT)
        tornet.recvn(stream, len(TEXT))
        took = time.perf_counter() - start
        stream.close()
        return took * 1000

    def warm(self):
        time.sleep(0.7)
        return self.connect(self.net.nodes["client0"]["socks"])

    def cold(self):
        """Milliseconds from the start of a client that has never run to the answer of the service."""
        node = self.net.nodes["client0"]
        folder = tempfile.mkdtemp(prefix="tor-cold-")
        with open(os.path.join(node["dir"], "torrc"), encoding="utf-8") as file:
            lines = file.read().replace(node["dir"], folder)
        for line in (f"SocksPort 127.0.0.1:{node['socks']}\n", f"ControlPort 127.0.0.1:{node['ctl']}\n"):  # client0 has them
            lines = lines.replace(line, "")
        with open(os.path.join(folder, "torrc"), "w", encoding="utf-8") as file:
            file.write(lines)
        socket_path = os.path.join(folder, "socks.sock")
        start = time.perf_counter()
        process = subprocess.Popen(self.net.tor("-f", os.path.join(folder, "torrc"), "--quiet"), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        try:
            while time.perf_counter() - start < 120 and process.poll() is None:
                try:
                    self.connect(socket_path)
                    return (time.perf_counter() - start) * 1000
                except (OSError, EOFError, AssertionError):
                    time.sleep(0.01)
            raise RuntimeError("a cold Tor client never reached the service")
        finally:
            process.kill()
            process.wait()
            shutil.rmtree(folder, ignore_errors=True)

    def stop(self):
        self.net.stop()


def compare(build, rounds, notes, with_tor):
    """Figures of ours and of Tor, by turns; absent where they were not taken."""
    rivals, ours, report = {}, None, {"notes": rounds * notes}
    try:
        if with_tor:
            rivals = {"tor_live": Tor(23000, None, None), "tor_tuned": Tor(24000, TUNED, "Schedulers Vanilla")}
            for tor in rivals.values():
                tor.wait()
        ours = Ours(build)
        warm = {"ours": [], "ours_send": [], **{who: [] for who in rivals}}
        cold = {"ours": [], **{who: [] for who in rivals}}
        for number in range(rounds):
            pairs = [ours.warm() for _ in range(notes)]
            warm["ours"].append(statistics.median(took for took, _ in pairs))
            warm["ours_send"].append(statistics.median(sent for _, sent in pairs))
            cold["ours"].append(ours.one_shot())
            for who, tor in rivals.items():
                warm[who].append(statistics.median(tor.warm() for _ in range(notes)))
                cold[who].append(tor.cold())
            say(f"note, round {number + 1}, ms:", json.dumps({who: [warm[who][-1], cold.get(who, [None])[-1]] for who in warm}))
        for who, values in warm.items():
            report[who + "_note_warm_ms"] = statistics.median(values)
        for who, values in cold.items():
            report[who + "_note_cold_ms"] = statistics.median(values)
        if rivals:
            report["note_warm"] = statistics.median(
                own / min(warm[who][i] for who in rivals) for i, own in enumerate(warm["ours"]))
            report["note_cold"] = statistics.median(
                own / min(cold[who][i] for who in rivals) for i, own in enumerate(cold["ours"]))
    finally:
        for one in [ours, *rivals.values()]:
            if one is not None:
                one.stop()
    return report


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--notes", type=int, default=7)
    parser.add_argument("--without-tor", action="store_true")
    options = parser.parse_args()
    import circuits  # not above: it imports this file
    circuits.own_loopback(__file__)
    if os.environ.get("BULBIL_OWN_LOOPBACK"):
        tornet.lo_up(1500)
    with_tor = shutil.which("tor") is not None and not options.without_tor
    if not with_tor:
        say("note: tor is not installed or not wanted; no ratios")
    report = compare(options.build, options.rounds, options.notes, with_tor)
    print(json.dumps(report, indent=1))
    os.makedirs("build/reports", exist_ok=True)
    with open("build/reports/note-bench.json", "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1)


if __name__ == "__main__":
    main()
