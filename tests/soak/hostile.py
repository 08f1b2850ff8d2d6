#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# targets: hostile_node pool_reader
"""Real processes, a fifth of them hostile: what gets into the pools of the others, who is found out, and whether messages arrive.

usage: hostile.py BUILD_FOLDER [--nodes N] [--hostile N] [--users N] [--minutes N] [--quick]
By default 96 processes, 20 of them hostile: the share of 5 in 24. Up to 33 members one table names everybody and there is no pool
(docs/anonymity.md), so 24 would not show any; --nodes 24 --hostile 5 runs them all the same. The users are honest storing nodes, each
with an identity that sends and polls over its own node; the other honest ones are relays.
Hostile nodes (hostile_node.cc) bend fingers and neighbours towards each other and let no circuit go on of which neither the hop before
nor the one behind is theirs. A third bends as far as the checks bear, a third farther, a third signs truth and lie by turns. All processes
are the program but for that; pools are read from the sealed files that it keeps (pool_reader.cc).
Writes build/reports/hostile.json, one flat object, also when a goal is missed; exits 1 then.
hostile_share_in_pools is over all pools; band_low to band_high is three standard deviations of as many independent draws about the share
of hostile nodes among all. Only a share above it is a failure: lies got somebody in. One below it is no failure but what finding liars is
for: who lies beyond the bounds or tells two stories leaves the pools, and what is left of the hostile ones then is
hostile_share_without_liars. That a share is low is judged by nobody, for relays in a pool are not independent of each other.
liars: those of the second kind (liars_beyond) and of the third (liars_two_stories); NAME_found: those whose table some honest node
refused, or that it heard convicted of two stories. With KINDS_SEEN nodes or more, three in four have to be found: below, lists that
long meet behind the ring and bounds say little. Not all are: of liars of the second kind one in fifty has no friend far enough away to
overstep a bound, and to a node that takes gaps for a quarter wider than they are, four in ten look true.
"""
import argparse
import json
import math
import os
import random
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from harness import Cluster, Node, check, wait_until

REPORT = "build/reports/hostile.json"
KINDS = [("0.95", False), ("1.4", False), ("0.95", True)]  # how far it bends, of what the checks bear; whether it tells two stories
KINDS_SEEN = 72            # nodes, from which on liars have to be found
ROUND_S = 15               # between two messages of a user
LAST_POLLS = 4


def say(*what):
    print(f"{time.strftime('%H:%M:%S')}", *what, file=sys.stderr, flush=True)


class User:
    """A person on a node of their own."""

    def __init__(self, cluster, node, name):
        self.cluster, self.node, self.name = cluster, node, name
        self.address = cluster.run("keys", "new", "--no-input", "--no-passphrase", "--name", name, "--home",
                                   node.home).stdout.decode().strip()
        self.expected, self.seen = set(), []

    def _run(self, *arguments, stdin=b""):
        return self.cluster.run(*arguments, "--node", str(self.node.port), "--home", self.node.home, stdin=stdin, expect=None)

    def send(self, to, number):
        """True if the program says that it is stored."""
        sent = self._run("send", to.address, stdin=f"m{number}".encode()).returncode == 0
        if sent:
            to.expected.add(number)
        return sent

    def poll(self):
        lines = self._run("poll", "--as", self.name, "--json").stdout.decode().splitlines()
        self.seen += [int(line["text"][1:]) for line in map(json.loads, lines) if line["type"] == "message"]


class Ring:
    def __init__(self, cluster, options):
        self.cluster, self.options = cluster, options
        self.secret = os.path.join(cluster.folder, "friends")
        self.found = os.path.join(cluster.folder, "found")
        self.stories = os.path.join(cluster.folder, "two-stories")
        os.makedirs(self.secret)
        os.makedirs(self.found)
        self.hostile = []

    def start(self, number, role, bootstrap):
        is_hostile = number in self.hostile_numbers
        environment = {"BULBIL_FOUND": os.path.join(self.found, f"{'hostile' if is_hostile else 'honest'}-{number}")}
        if is_hostile:
            reach, tells_two = KINDS[len(self.hostile) % len(KINDS)]
            environment.update(BULBIL_HOSTILE=self.secret, BULBIL_REACH=reach, BULBIL_STORIES=self.stories if tells_two else "")
        node = Node(self.cluster, role, bootstrap, environment)
        self.cluster.nodes.append(node)
        if is_hostile:
            self.hostile.append(node)
        return node

    def grow(self):
        """The founders are honest; then eight at a time."""
        nodes, chooser = self.options.nodes, random.Random(1)
        self.hostile_numbers = set(chooser.sample(range(4, nodes), self.options.hostile))
        honest = [number for number in range(nodes) if number not in self.hostile_numbers]
        users = set(honest[:self.options.users])
        founders = []
        for first in range(0, nodes, 8):
            batch = []
            for number in range(first, min(first + 8, nodes)):
                role = "node" if number in users or number in self.hostile_numbers else "relay"
                bootstrap = [founder.address for founder in chooser.sample(founders, min(2, len(founders)))]
                batch.append(self.start(number, role, bootstrap))
                if len(founders) < 4:
                    wait_until("a founder to be ready", batch[-1].ready, 60)
                    founders.append(batch[-1])
            for node in batch:
                wait_until(f"node {node.port} to be ready", node.ready, 120)
        wait_until("an ideal ring", self.cluster.ring_is_ideal, 180)
        say(f"{nodes} processes are one ring, {len(self.hostile)} hostile")
        with open(self.stories, "w", encoding="utf-8"):  # not before: who is convicted is out of the ring
            pass
        return [self.cluster.nodes[number] for number in sorted(users)]


def mail(users, minutes, report):
    """Until the time is over: in turn each user sends to another and polls."""
    chooser = random.Random(2)
    end, number, failed = time.monotonic() + 60 * minutes, 0, 0
    pause = ROUND_S / len(users)
    while time.monotonic() < end:
        due = time.monotonic() + pause
        sender = users[number % len(users)]
        failed += not sender.send(chooser.choice([user for user in users if user is not sender]), number)
        sender.poll()
        number += 1
        time.sleep(max(0, due - time.monotonic()))  # the pace of the load; nothing is waited for
    for _ in range(LAST_POLLS):
        for user in users:
            user.poll()
    report["messages_sent"] = number - failed
    report["sends_failed"] = failed
    report["messages_lost"] = sum(len(user.expected - set(user.seen)) for user in users)
    report["messages_twice"] = sum(len(user.seen) - len(set(user.seen)) for user in users)


def read_pools(build, nodes):
    folders = [os.path.join(node.home, f"node-{node.port}") for node in nodes]
    done = subprocess.run([os.path.join(build, "tests/soak/pool_reader"), *folders], capture_output=True, check=True)
    return [json.loads(line) for line in done.stdout.decode().splitlines()]


def judge(ring, build, nodes, report):
    """The shares of hostile nodes in what the users keep, and who was found out."""
    pools, options = read_pools(build, nodes), ring.options
    hostile = [pool["key"] for pool in read_pools(build, ring.hostile)]
    relays = [relay for pool in pools for relay in pool["relays"]]
    guards = [pool["guards"][0] for pool in pools if pool["guards"]]
    expected = options.hostile / (options.nodes - 1)
    deviation = math.sqrt(expected * (1 - expected) / max(1, len(relays)))
    report["pools"] = len(pools)
    report["pools_in_use"] = sum(len(pool["relays"]) >= 16 for pool in pools)
    report["pool_entries"] = len(relays)
    report["hostile_share_expected"] = expected
    report["hostile_share_in_pools"] = sum(relay in hostile for relay in relays) / len(relays) if relays else None
    report["band_low"], report["band_high"] = max(0, expected - 3 * deviation), expected + 3 * deviation
    report["hostile_share_of_guards"] = sum(guard in hostile for guard in guards) / len(guards) if guards else None
    accused = set()
    for name in os.listdir(ring.found):
        if name.startswith("honest"):
            with open(os.path.join(ring.found, name), encoding="utf-8") as file:
                accused |= set(file.read().split())
    beyond, two_stories = hostile[1::len(KINDS)], hostile[2::len(KINDS)]
    report["liars"] = len(beyond) + len(two_stories)
    report["liars_found"] = len(accused & set(beyond + two_stories))
    report["liars_beyond"], report["liars_beyond_found"] = len(beyond), len(accused & set(beyond))
    report["liars_two_stories"], report["liars_two_stories_found"] = len(two_stories), len(accused & set(two_stories))
    report["within_bounds_found"] = len(accused & set(hostile[::len(KINDS)]))
    report["honest_accused"] = len(accused - set(hostile))
    report["hostile_share_without_liars"] = (options.hostile - report["liars"]) / (options.nodes - 1 - report["liars"])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--nodes", type=int)
    parser.add_argument("--hostile", type=int)
    parser.add_argument("--users", type=int)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    options.nodes = options.nodes or (48 if options.quick else 96)
    options.hostile = options.hostile if options.hostile is not None else round(options.nodes * 5 / 24)
    options.users = options.users or (8 if options.quick else 24)
    options.minutes = options.minutes or (4 if options.quick else 25)

    report = {"nodes": options.nodes, "honest": options.nodes - options.hostile, "hostile": options.hostile, "minutes": options.minutes,
              "quick": options.quick}
    with Cluster(os.path.join(options.build, "tests/soak/hostile_node")) as cluster:
        ring = Ring(cluster, options)
        nodes = ring.grow()
        users = [User(cluster, node, f"user{place}") for place, node in enumerate(nodes)]
        mail(users, options.minutes, report)
        status = [node.status() for node in nodes]
        check(all(status), "a user's node does not answer")
        check(all(one["anonymity"].startswith("weak: ") for one in status), "one network, and not called weak:", status[0]["anonymity"])
        report["convicted"] = max(one["ring"]["convicted"] for one in status)
        report["circuits_built"] = sum(one["circuits"]["built"] for one in status)
        report["circuits_failed"] = sum(one["circuits"]["failed"] for one in status)
        for node in nodes:
            node.process.terminate()
        for node in nodes:
            check(node.process.wait(timeout=60) == 0, "node", node.port, "did not end well")
        judge(ring, options.build, nodes, report)
    print(json.dumps(report, indent=1))
    os.makedirs("build/reports", exist_ok=True)
    with open(REPORT, "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1)
    share = report["hostile_share_in_pools"]
    missed = [name for name, wrong in [
        ("messages_lost", report["messages_lost"] > 0), ("messages_twice", report["messages_twice"] > 0),
        ("messages_sent", report["messages_sent"] == 0), ("hostile_share_in_pools", share is not None and share > report["band_high"]),
        ("liars_found", options.nodes >= KINDS_SEEN and report["liars_found"] < 0.75 * report["liars"])] if wrong]
    if missed:
        print("missed:", *missed)
        sys.exit(1)


if __name__ == "__main__":
    main()
