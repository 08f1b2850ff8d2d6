#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# targets: bulbil store_power store_corruption store_fill store_full store_expiry
"""The store of a node against lost power, damaged files, full disks, kill -9 and time; acknowledgements are kept out here.

usage: store.py BUILD_FOLDER [--quick] [--part NAME]... [--resume] [--minutes M] [--power N] [--corruption N] [--kills N] [--damaged N]
                [--records N] [--seconds N]
Parts: corruption full restart kills damaged power expiry; without --part all of them. Writes build/reports/store-soak.json, one flat
object, also when a goal is missed; exits 1 then. A part replaces its own figures there and leaves those of the others (and of
store_join.py). Parts that count go by portions, each added to the file when it is done: --resume goes on from what the file says,
--minutes begins no portion after that time and exits 3 if something is left to resume.
"""
import argparse
import bisect
import concurrent.futures
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

REPORT = "build/reports/store-soak.json"
CORES = 2              # what a full run is made for
RING = 5
RINGS = 2              # of the kills and of the damaged nodes, side by side: a node that starts mostly waits
CONTROL_LOSSES = 25    # a portion; the control loses within a few
WRITERS = 2            # of each ring
RESTART_SECONDS = 2.0  # the goal, with 10^5 records
DISK_FACTOR, DISK_SLACK_MIB = 3, 48  # bound of a folder by what is alive in it: tables wait to be merged, logs to be dropped
MEMORY_GROWTH_MIB = 8  # over the second half of the simulated time
PAGE = 4096            # of a disk
WHOLE_SECONDS = 120    # until a damaged node is whole again; it takes a round of repair


def say(*what):
    print(*what, file=sys.stderr, flush=True)


def shares(count, parts):
    return [count // parts + (1 if place < count % parts else 0) for place in range(parts)]


def side_by_side(tasks):
    """What each of them returns, in order; the first failure of any is raised."""
    with concurrent.futures.ThreadPoolExecutor(len(tasks)) as pool:
        return [future.result() for future in [pool.submit(task) for task in tasks]]


def program(build, name, *arguments):
    """The numbers that a program of this folder prints. On a disk of memory if there is one: nothing here tests the real disk."""
    environment = dict(os.environ)
    if os.path.isdir("/dev/shm"):
        environment["TMPDIR"] = "/dev/shm"
    result = subprocess.run([os.path.join(build, "tests", "soak", name), *map(str, arguments)], capture_output=True, text=True,
                            env=environment)
    say(name, *arguments, "->", result.stdout.strip(), result.stderr.strip()[-500:])
    return {word: int(number) for word, number in re.findall(r"(\w+)=(\d+)", result.stdout)}, result.returncode


def split_program(build, name, count, *arguments):
    """The same in CORES processes with seeds of their own, each doing its share: the sums of their numbers; `died` had none to print."""
    runs = side_by_side([lambda share=share, seed=random.randrange(1 << 32): program(build, name, share, seed, *arguments)[0]
                         for share in shares(count, CORES) if share])
    sums = {key: sum(numbers.get(key, 0) for numbers in runs) for numbers in runs for key in numbers}
    return dict(sums, died=sum(not numbers for numbers in runs))


def power(build, count):
    numbers = split_program(build, "store_power", count, "sync")
    return {"power_losses": numbers.get("losses", 0), "power_acknowledged": numbers.get("acknowledged", 0),
            "power_lost": sum(numbers.get(name, 0) for name in ("lost", "wrong", "half", "refused")), "power_died": numbers["died"],
            "control_run_lost": program(build, "store_power", CONTROL_LOSSES, random.randrange(1 << 32), "control")[0].get("lost", 0)}


def corruption(build, count):
    numbers = split_program(build, "store_corruption", count)
    return {"corruptions": numbers.get("corruptions", 0), "corruptions_wrong_bytes": numbers.get("wrong", 0),
            "corruptions_silent": numbers.get("silent", 0), "corruptions_died": numbers["died"],
            "corruptions_not_opened": sum(numbers.get(name, 0) for name in ("refused", "unread", "unwhole"))}


def full_disk(build, _):
    """On a file system of 64 MiB of its own; left out, and said so, where one may not mount."""
    folder = tempfile.mkdtemp(prefix="bulbil-full-")
    try:
        command = 'mount -t tmpfs -o size=64m tmpfs "$1" && exec "$2" "$1"'
        result = subprocess.run(["unshare", "-m", "sh", "-c", command, "sh", folder,
                                 os.path.abspath(os.path.join(build, "tests", "soak", "store_full"))],
                                capture_output=True, text=True)
        say("store_full ->", result.stdout.strip(), result.stderr.strip()[-500:])
        numbers = {word: int(number) for word, number in re.findall(r"(\w+)=(\d+)", result.stdout)}
        if not numbers:
            return {"disk_full_tried": 1, "disk_full_run": 0}
        return {"disk_full_tried": 1, "disk_full_run": 1, "disk_full_refusals": numbers["refusals"],
                "disk_full_failed": numbers["lost"] + numbers["untyped"] + numbers["unresumed"]}
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
    return glob.glob(os.path.join(node.home, "**", "store"), recursive=True)[0]


def restart_time(build, records):
    """A node that holds many records, killed and started again. Alone: else it would first hand records to those responsible."""
    with Cluster(program_of(build)) as cluster:
        node = cluster.add()
        node.terminate()
        program(build, "store_fill", store_of(node), records, 256)
        start_again(node)
        node.kill()
        seconds = round(start_again(node), 3)
        held = wait_until("the node to say what it holds", node.status, 30)["store"]["records"]
        return {"restart_s": seconds, "restart_records": held}


def program_of(build):
    return os.path.join(build, "bulbil")


def put(cluster, node, body):
    """The key, or None if it was not acknowledged."""
    try:
        result = cluster.run("dht", "put", "--node", str(node.port), "--home", node.home, stdin=body, expect=None, timeout=120)
    except subprocess.TimeoutExpired:
        return None
    return result.stdout.decode().split()[0] if result.returncode == 0 else None


class Book:
    """What nodes acknowledged, by key. Filled by writers that go on through every kill."""

    def __init__(self, cluster):
        self.cluster = cluster
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
            if not nodes:
                continue
            key = put(self.cluster, nodes[(count * 7 + number) % len(nodes)], body)
            with self.lock:
                if key is not None:
                    self.acknowledged[key] = hashlib.sha256(body).hexdigest()
                else:
                    self.refused += 1

    def stop(self):
        self.ended.set()
        for thread in self.threads:
            thread.join()


def fetch(cluster, key, node=None):
    """SHA-256 of what a live node answers for the key, or None."""
    node = node or random.choice(cluster.live())
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


def ring_of_kills(build, count):
    """(acknowledged, refused, lost, wrong, slowest restart)."""
    slowest = 0.0
    with Cluster(program_of(build)) as cluster:
        for _ in range(RING):
            cluster.add()
        wait_until("the ring to be whole", cluster.ring_is_ideal, 120)
        book = Book(cluster)
        for done in range(1, count + 1):
            time.sleep(random.random() / 2)  # so that kills fall anywhere between puts
            node = random.choice(cluster.nodes)
            node.kill()
            slowest = max(slowest, start_again(node))
            if done % 50 == 0:
                say(done, "kills,", len(book.acknowledged), "acknowledged")
        book.stop()
        lost, wrong = missing_of(cluster, book.acknowledged)
        return len(book.acknowledged), book.refused, lost, wrong, slowest


def kills(build, count):
    rings = side_by_side([lambda share=share: ring_of_kills(build, share) for share in shares(count, RINGS) if share])
    sums = {name: sum(ring[place] for ring in rings)
            for place, name in enumerate(["kills_acknowledged", "kills_refused", "lost", "kills_wrong_bytes"])}
    return dict(sums, kills=count, kills_slowest_restart_s=round(max(ring[4] for ring in rings), 3))


def wound(folder):
    """One to three of: bits flipped, a stretch overwritten, a page cleared, the end cut off, the file removed. Of any file but the lock."""
    for _ in range(random.randint(1, 3)):
        files = sorted(name for name in os.listdir(folder) if name != "LOCK" and os.path.isfile(os.path.join(folder, name)))
        path = os.path.join(folder, random.choice(files))
        size, kind = os.path.getsize(path), random.randrange(5)
        if kind == 0:
            os.remove(path)
        elif kind == 1 and size:
            os.truncate(path, random.randrange(size))
        elif size:
            at = random.randrange(size)
            with open(path, "r+b") as file:
                file.seek(at if kind < 4 else at // PAGE * PAGE)
                file.write(bytes(PAGE) if kind == 4 else os.urandom(1 if kind == 2 else random.randint(2, 700)))


def share_of(point, points, keys):
    """How many of the records lie at that point's node: one of the first three at or after the key."""
    order = sorted(points)
    return sum(point in [order[(bisect.bisect_left(order, key) + next) % len(order)] for next in range(3)] for key in keys)


def is_whole(node, share):
    status = node.status()
    return status is not None and status["store"]["state"] == "ok" and status["store"]["repairing"] == 0 and \
        status["store"]["records"] - status["store"]["misplaced"] >= share


def ring_of_damaged(build, count):
    """(not whole again, lost, wrong, slowest): a node at a time is killed, its files damaged, and started."""
    slowest, unwhole = 0.0, 0
    with Cluster(program_of(build)) as cluster:
        for _ in range(4):
            cluster.add()
        wait_until("the ring to be whole", cluster.ring_is_ideal, 120)
        expected = {}
        while len(expected) < 60:
            body = os.urandom(random.randrange(1, 2000))
            key = put(cluster, random.choice(cluster.nodes), body)
            if key is not None:
                expected[key] = hashlib.sha256(body).hexdigest()
        points = [wait_until("status", node.status, 30)["ring"]["point"] for node in cluster.nodes]
        for _ in range(count):
            place = random.randrange(len(points))
            node, share = cluster.nodes[place], share_of(points[place], points, expected)
            node.kill()
            wound(store_of(node))
            start_again(node)
            begun = time.monotonic()
            try:
                wait_until(f"node {node.port} to be whole again", lambda: is_whole(node, share), WHOLE_SECONDS)
            except Failure as failure:
                say("its share is", share, failure)
                unwhole += 1
            slowest = max(slowest, time.monotonic() - begun)
        return (unwhole, *missing_of(cluster, expected), slowest)


def damaged(build, count):
    rings = side_by_side([lambda share=share: ring_of_damaged(build, share) for share in shares(count, RINGS) if share])
    sums = {name: sum(ring[place] for ring in rings)
            for place, name in enumerate(["damaged_not_whole", "damaged_lost", "damaged_wrong_bytes"])}
    return dict(sums, damaged_nodes=count, damaged_slowest_whole_s=round(max(ring[3] for ring in rings), 1))


def expiry(build, seconds):
    """Simulated time: a ring with clocks that differ, and a node's disk."""
    (ring, _), (disk, _) = side_by_side(
        [lambda way=way: program(build, "store_expiry", seconds, random.randrange(1 << 32), way) for way in ("ring", "disk")])
    return {"expiry_simulated_s": seconds, "expiry_acknowledged": ring["acknowledged"] + disk["puts"] - disk["refused"],
            "expiry_served_expired": ring["served"] + disk["served"], "expiry_gone_unexpired": ring["gone"] + disk["gone"],
            "expiry_far_future_taken": ring["far"], "expiry_refused": disk["refused"],
            "expiry_disk_mib": round(disk["folder_bytes"] / 2**20, 1), "expiry_alive_mib": round(disk["alive_bytes"] / 2**20, 1),
            "expiry_memory_growth_mib": round((disk["rss_end"] - disk["rss_half"]) / 2**20, 1)}


def none(*names):
    return lambda report: all(report[name] == 0 for name in names)


class Part:
    """`run(build, n)` gives figures, their names begin with one of `figures`; `counted` grows up to the goal, by portions."""

    def __init__(self, run, figures, counted, portion, is_good):
        self.run, self.figures, self.counted, self.portion, self.is_good = run, figures, counted, portion, is_good

    def owns(self, name):
        return name.startswith(self.figures)

    def go(self, build, goal, report, deadline):
        """False if time was up before the goal was reached."""
        while report.get(self.counted, 0) < goal:
            if time.monotonic() > deadline:
                return False
            left = goal - report.get(self.counted, 0)
            for name, value in self.run(build, min(left, self.portion or left)).items():
                old = report.get(name, 0)
                report[name] = max(old, value) if name.endswith("_s") else old + value
            save(report)
            if not self.portion:
                break
        return True


PARTS = {
    "corruption": Part(corruption, ("corruptions",), "corruptions", 500,
                       none("corruptions_wrong_bytes", "corruptions_silent", "corruptions_not_opened", "corruptions_died")),
    "full": Part(full_disk, ("disk_full",), "disk_full_tried", 0,
                 lambda report: report["disk_full_failed"] == 0 if report["disk_full_run"] else os.geteuid() != 0),
    "restart": Part(restart_time, ("restart",), "restart_records", 0, lambda report: report["restart_s"] < RESTART_SECONDS),
    "kills": Part(kills, ("kills", "lost"), "kills", 100,
                  lambda report: report["lost"] == report["kills_wrong_bytes"] == 0 < report["kills_acknowledged"]),
    "damaged": Part(damaged, ("damaged",), "damaged_nodes", 50, none("damaged_not_whole", "damaged_lost", "damaged_wrong_bytes")),
    "power": Part(power, ("power", "control_run"), "power_losses", 5000,
                  lambda report: report["power_lost"] == report["power_died"] == 0 < report["control_run_lost"]),
    "expiry": Part(expiry, ("expiry",), "expiry_simulated_s", 0,
                   lambda report: none("expiry_served_expired", "expiry_gone_unexpired", "expiry_far_future_taken", "expiry_refused")(report)
                   and report["expiry_disk_mib"] < DISK_FACTOR * report["expiry_alive_mib"] + DISK_SLACK_MIB
                   and report["expiry_memory_growth_mib"] < MEMORY_GROWTH_MIB)}
GOALS = {"corruption": 1000, "full": 1, "restart": 100000, "kills": 500, "damaged": 100, "power": 100000, "expiry": 72000}


def load_report():
    if not os.path.exists(REPORT):
        return {}
    with open(REPORT, encoding="utf-8") as file:
        return json.load(file)


def save(report):
    report["wrong_bytes"] = sum(number for name, number in report.items() if name.endswith("_wrong_bytes"))
    os.makedirs(os.path.dirname(REPORT), exist_ok=True)
    with open(REPORT, "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--quick", action="store_true", help="a fiftieth of everything that takes long")
    parser.add_argument("--part", action="append", choices=PARTS)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--minutes", type=float, default=float("inf"))
    for name, default in GOALS.items():
        option = {"restart": "records", "expiry": "seconds"}.get(name, name)
        if name != "full":
            parser.add_argument("--" + option, dest=name, type=int, default=default)
    options = parser.parse_args()
    deadline = time.monotonic() + 60 * options.minutes

    report, missed, unfinished = load_report(), [], []
    for name in options.part or PARTS:
        part, goal = PARTS[name], getattr(options, name, 1)
        if options.quick and name not in ("full", "restart"):
            goal //= 50
        if not options.resume:
            report = {key: value for key, value in report.items() if not part.owns(key)}
        begun = time.monotonic()
        try:
            if not part.go(options.build, goal, report, deadline):
                unfinished.append(name)
            elif report.get(part.counted, 0) < goal or not part.is_good(report):
                missed.append(name)
        except (Failure, KeyError) as failure:
            say(name, "failed:", repr(failure))
            missed.append(name)
        say(name, f"took {time.monotonic() - begun:.0f} s")
    save(report)
    print(json.dumps(report, indent=1))
    for name in missed:
        say("missed:", name)
    for name in unfinished:
        say("left to resume:", name)
    sys.exit(1 if missed else 3 if unfinished else 0)


if __name__ == "__main__":
    main()
