#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# targets: bulbil store_power store_corruption store_fill store_full store_join
"""The store of a node against lost power, damaged files, full disks and kill -9; acknowledgements are kept out here.

usage: store.py BUILD_FOLDER [--power-losses N] [--corruptions N] [--kills N] [--records N] [--join-kills N]
Writes build/reports/store-soak.json, one flat object, also when a goal is missed; exits 1 then.
"""
import argparse
import glob
import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from harness import Cluster, Failure, wait_until
from store_join import join

RING = 5
CONTROL_LOSSES = 200   # the control loses within a few; more would prove no more
WRITERS = 2            # the machine may have two cores
RESTART_SECONDS = 2.0  # the goal, with 10^5 records


def say(*what):
    print(*what, file=sys.stderr, flush=True)


def program(build, name, *arguments):
    """The numbers that a program of this folder prints. On a disk of memory if there is one: nothing here tests the real disk."""
    environment = dict(os.environ)
    if os.path.isdir("/dev/shm"):
        environment["TMPDIR"] = "/dev/shm"
    result = subprocess.run([os.path.join(build, "tests", "soak", name), *map(str, arguments)], capture_output=True, text=True,
                            env=environment)
    say(name, *arguments, "->", result.stdout.strip(), result.stderr.strip()[-500:])
    numbers = {word: int(number) for word, number in re.findall(r"(\w+)=(\d+)", result.stdout)}
    return numbers, result.returncode


def power(build, losses, report):
    numbers, code = program(build, "store_power", losses, random.randrange(1 << 32), "sync")
    control, control_code = program(build, "store_power", CONTROL_LOSSES, random.randrange(1 << 32), "control")
    report["power_losses"] = numbers.get("losses", 0)
    report["power_acknowledged"] = numbers.get("acknowledged", 0)
    report["power_lost"] = sum(numbers.get(name, 0) for name in ("lost", "wrong", "half", "refused"))
    report["control_run_lost"] = control.get("lost", 0)
    return code == 0 and control_code == 0 and report["power_losses"] == losses


def corruption(build, copies, report):
    numbers, code = program(build, "store_corruption", copies, random.randrange(1 << 32))
    report["corruptions"] = numbers.get("corruptions", 0)
    report["wrong_bytes"] = numbers.get("wrong", 0)
    report["corruptions_silent"] = numbers.get("silent", 0)
    report["corruptions_not_opened"] = numbers.get("refused", 0) + numbers.get("unread", 0) + numbers.get("unwhole", 0)
    return code == 0 and report["corruptions"] == copies


def full_disk(build, report):
    """On a file system of 64 MiB of its own; left out, and said so, where one may not mount."""
    folder = tempfile.mkdtemp(prefix="bulbil-full-")
    try:
        command = 'mount -t tmpfs -o size=64m tmpfs "$1" && exec "$2" "$1"'
        result = subprocess.run(["unshare", "-m", "sh", "-c", command, "sh", folder,
                                 os.path.abspath(os.path.join(build, "tests", "soak", "store_full"))],
                                capture_output=True, text=True)
        say("store_full ->", result.stdout.strip(), result.stderr.strip()[-500:])
        numbers = {word: int(number) for word, number in re.findall(r"(\w+)=(\d+)", result.stdout)}
        report["disk_full_run"] = 1 if numbers else 0
        if not numbers:
            return os.geteuid() != 0
        report["disk_full_refusals"] = numbers["refusals"]
        report["disk_full_failed"] = numbers["lost"] + numbers["untyped"] + numbers["unresumed"]
        return result.returncode == 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def start_again(node):
    """Seconds from the start of the process until it says that it is ready."""
    with open(node.log_path, "wb"):
        pass
    begun = time.monotonic()
    node.start()
    wait_until(f"node {node.port} to be ready again", node.ready, 120)
    return time.monotonic() - begun


def store_of(node):
    found = glob.glob(os.path.join(node.home, "**", "store", "CURRENT"), recursive=True)
    return os.path.dirname(found[0])


def restart_time(build, program_path, records, report):
    """A node that holds many records, killed and started again. Alone: else it would first hand records to those responsible."""
    with Cluster(program_path) as cluster:
        node = cluster.add()
        node.terminate()
        numbers, code = program(build, "store_fill", store_of(node), records, 256)
        start_again(node)
        node.kill()
        report["restart_s"] = round(start_again(node), 3)
        held = wait_until("the node to say what it holds", node.status, 30)["store"]["records"]
        report["restart_records"] = held
        return code == 0 and held >= records and report["restart_s"] < RESTART_SECONDS


class Book:
    """What nodes acknowledged, by key. Filled by writers that go on through every kill."""

    def __init__(self, cluster, seed):
        self.cluster, self.random = cluster, random.Random(seed)
        self.acknowledged, self.refused = {}, 0
        self.lock, self.ended = threading.Lock(), threading.Event()
        self.threads = [threading.Thread(target=self.write, args=(number,), daemon=True) for number in range(WRITERS)]
        for thread in self.threads:
            thread.start()

    def write(self, number):
        count = 0
        while not self.ended.is_set():
            count += 1
            body = f"{number}.{count}.".encode() + os.urandom(200)
            nodes = self.cluster.live()
            node = nodes[(count * 7 + number) % len(nodes)] if nodes else None
            if node is None:
                continue
            try:
                result = self.cluster.run("dht", "put", "--node", str(node.port), "--home", node.home, stdin=body, expect=None,
                                          timeout=120)
            except subprocess.TimeoutExpired:
                continue
            with self.lock:
                if result.returncode == 0:
                    self.acknowledged[result.stdout.decode().split()[0]] = hashlib.sha256(body).hexdigest()
                else:
                    self.refused += 1

    def stop(self):
        self.ended.set()
        for thread in self.threads:
            thread.join()


def fetch(cluster, key):
    """SHA-256 of what a live node answers for the key, or None."""
    node = random.choice(cluster.live())
    result = cluster.run("dht", "get", key, "--node", str(node.port), "--home", node.home, expect=None)
    return hashlib.sha256(result.stdout).hexdigest() if result.returncode == 0 else None


def missing_of(cluster, expected):
    """(keys that no node finds, keys found with other bytes)."""
    wrong = set()
    left = dict(expected)
    deadline = time.monotonic() + 120
    while left and time.monotonic() < deadline:
        for key, digest in list(left.items()):
            found = fetch(cluster, key)
            if found is not None:
                del left[key]
                if found != digest:
                    wrong.add(key)
    return len(left), len(wrong)


def kills(program_path, count, report):
    report["kills"] = 0
    slowest = 0.0
    with Cluster(program_path) as cluster:
        for _ in range(RING):
            cluster.add()
        wait_until("the ring to be whole", cluster.ring_is_ideal, 120)
        book = Book(cluster, 1)
        while report["kills"] < count:
            time.sleep(random.random())  # so that kills fall anywhere between puts
            node = random.choice(cluster.nodes)
            node.kill()
            report["kills"] += 1
            slowest = max(slowest, start_again(node))
            if report["kills"] % 50 == 0:
                say(report["kills"], "kills,", len(book.acknowledged), "acknowledged")
        book.stop()
        report["kills_acknowledged"], report["kills_refused"] = len(book.acknowledged), book.refused
        report["kills_slowest_restart_s"] = round(slowest, 3)
        report["lost"], wrong = missing_of(cluster, book.acknowledged)
        report["wrong_bytes"] = report.get("wrong_bytes", 0) + wrong
    return report["lost"] == 0 and wrong == 0 and report["kills_acknowledged"] > 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--power-losses", type=int, default=100000)
    parser.add_argument("--corruptions", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--records", type=int, default=100000, help="of the restart; the joiner's ring has ten times as many")
    parser.add_argument("--join-kills", type=int, default=20)
    options = parser.parse_args()
    program_path = os.path.join(options.build, "bulbil")

    report = {}
    parts = [("corruption", lambda: corruption(options.build, options.corruptions, report)),
             ("full disk", lambda: full_disk(options.build, report)),
             ("restart", lambda: restart_time(options.build, program_path, options.records, report)),
             ("join", lambda: join(options.build, 10 * options.records, options.join_kills, report)),
             ("kills", lambda: kills(program_path, options.kills, report)),
             ("power", lambda: power(options.build, options.power_losses, report))]
    missed = []
    for name, part in parts:
        try:
            if not part():
                missed.append(name)
        except Failure as failure:
            say(name, "failed:", failure)
            missed.append(name)
    print(json.dumps(report, indent=1))
    os.makedirs("build/reports", exist_ok=True)
    with open("build/reports/store-soak.json", "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1)
    for name in missed:
        say("missed:", name)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
