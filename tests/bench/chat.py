#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# targets: bulbil
# packages: tor libtoxcore-dev
"""From Enter to the other screen: two running `chat --line --profile fast`, beside toxcore and a round trip to a Tor onion service.

usage: chat.py BUILD_FOLDER [--rounds N] [--messages N] [--without-tox] [--without-tor]
Ours: eight nodes on loopback, circuits warm; a text is typed at random moments, 0.2 to 1.5 s apart, in turns by both, and the time runs
from the line's newline on stdin to the other client's line on stdout. toxcore: two clients that are friends and online, in the
loop it asks for (tests/bench/peers/tox/tox_chat.c). Tor: the live network's parameters, a stream to an onion service that stands, 256
bytes there and back. All by turns in one run, the median over all messages of all rounds.

They do not do the same. toxcore shows both ends' addresses to each other and needs both online; the onion service has to be
online; ours leaves each text with storing nodes, so the other may be offline, nobody sees who is there, and reading follows a clock of
its own, which is most of the time. Writes build/reports/chat-bench.json after each round; what could
not be measured is absent, and said so.
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

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "peers", "tor"))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))
import chat_line
import harness
import network as tornet
import note

NODES = 8
PATIENCE = 120  # seconds for one text


def say(*what):
    print(*what, file=sys.stderr, flush=True)


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


class Ours:
    def __init__(self, build, profile):
        self.cluster = harness.Cluster(os.path.join(build, "bulbil"))
        for _ in range(NODES):
            self.cluster.add()
        harness.wait_until("one ring", self.cluster.ring_is_ideal, 120)
        self.people = chat_line.introduce(self.cluster, "alice", "bob", profile)
        for person in self.people:
            person.start(self.cluster.nodes[:3])
        self.chooser = random.Random(1)
        for speaker, reader in (self.people, self.people[::-1]) * 2:
            self._one(speaker, reader)

    def _one(self, speaker, reader):
        """Milliseconds from Enter to the other screen."""
        number = speaker.next
        harness.check(speaker.type("the train is at nine"), "the client has ended:", speaker.last_words())

        def heard():
            with reader.lock:
                return next((when for when, one, _, _ in reader.heard if one == number), None)
        when = harness.wait_until("a text to arrive", heard, PATIENCE)
        return (when - speaker.typed[number]) * 1000

    def take(self, messages):
        times = []
        for number in range(messages):
            time.sleep(self.chooser.uniform(0.2, 1.5))
            times.append(self._one(*(self.people if number % 2 else self.people[::-1])))
        return times

    def stop(self):
        for person in getattr(self, "people", []):
            person.kill()
        self.cluster.__exit__(None, None, None)


class Tox:
    def __init__(self, folder):
        self.program = os.path.join(folder, "tox_chat")
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", "toxcore"], capture_output=True, text=True, check=True).stdout.split()
        subprocess.run(["cc", "-O2", os.path.join(HERE, "peers", "tox", "tox_chat.c"), "-o", self.program, *flags], check=True)

    def take(self, messages):
        result = subprocess.run([self.program, str(messages)], capture_output=True, text=True, timeout=120 + messages)
        times = [float(line) for line in result.stdout.split()]
        harness.check(result.returncode == 0 and times, "toxcore did not connect", result.stderr)
        return times

    def stop(self):
        pass


class Onion:
    """One stream to an onion service, and what it takes there and back."""

    def __init__(self):
        self.tor = note.Tor(25000, None, None)
        self.stream = None

    def wait(self):
        self.tor.wait()
        self.stream = tornet.socks_connect(self.tor.net.nodes["client0"]["socks"], self.tor.onion, 80, user="chat", timeout=60)
        self.stream.sendall(b"E\n")
        self.take(3)

    def take(self, messages):
        times = []
        for _ in range(messages):
            time.sleep(0.1)
            start = time.perf_counter()
            self.stream.sendall(note.TEXT)
            tornet.recvn(self.stream, len(note.TEXT))
            times.append((time.perf_counter() - start) * 1000)
        return times

    def stop(self):
        if self.stream is not None:
            self.stream.close()
        self.tor.stop()


def rivals_here(options, folder):
    found = {}
    if options.without_tox or subprocess.run(["pkg-config", "--exists", "toxcore"], check=False).returncode != 0:
        say("chat: toxcore is not installed or not wanted; no tox_ratio")
    else:
        found["tox"] = Tox(folder)
    if options.without_tor or shutil.which("tor") is None:
        say("chat: tor is not installed or not wanted; no onion_service_ratio")
    else:
        found["onion_service"] = Onion()
    return found


def write(times):
    report = {"messages": len(times["enter_to_screen"]), "load": os.getloadavg()[2]}
    for who, values in times.items():
        report[f"{who}_ms_median"] = statistics.median(values)
        report[f"{who}_ms_p99"] = percentile(values, 0.99)
        if who != "enter_to_screen":
            report[f"{who}_ratio"] = statistics.median(times["enter_to_screen"]) / report[f"{who}_ms_median"]
    print(json.dumps(report, indent=1))
    os.makedirs("build/reports", exist_ok=True)
    with open("build/reports/chat-bench.json", "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1)


def measure(options):
    folder = tempfile.mkdtemp(prefix="bulbil-chat-bench-")
    parts = {}
    try:
        parts = rivals_here(options, folder)
        if "onion_service" in parts:
            parts["onion_service"].wait()
        parts["enter_to_screen"] = Ours(options.build, options.profile)
        times = {who: [] for who in parts}
        for number in range(options.rounds):
            for who, part in parts.items():
                times[who] += part.take(options.messages)
            say(f"chat, round {number + 1}, medians in ms:", {who: round(statistics.median(all_), 1) for who, all_ in times.items()})
            write(times)
    finally:
        for part in parts.values():
            part.stop()
        shutil.rmtree(folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--messages", type=int, default=15)
    parser.add_argument("--profile", default="fast")
    parser.add_argument("--without-tox", action="store_true")
    parser.add_argument("--without-tor", action="store_true")
    options = parser.parse_args()
    import circuits  # it imports note
    circuits.own_loopback(__file__)
    if os.environ.get("BULBIL_OWN_LOOPBACK"):
        tornet.lo_up(1500)

    measure(options)


if __name__ == "__main__":
    main()
