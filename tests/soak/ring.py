#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# targets: bulbil
"""Rings of real processes on loopback: how fast they become ideal, how fast they heal, what they cost at rest.

usage: ring.py BUILD_FOLDER [--size N] [--idle SECONDS] [--only large|sixteen] [--quick]
--only runs one of the two parts and keeps what the report has of the other; --quick takes 16 processes instead of 64.
Half of the processes of the largest ring are killed at once. Writes build/reports/ring.json, one flat object, also when a goal is missed;
exits 1 then. Idle figures are of one node of a ring of 16 at rest, in a second: bytes it sends with TCP and IP headers, and CPU milliseconds.
Other seconds are those until a poll of all processes saw the ideal ring; the poll itself, one process a question, is part of it.
"""
import argparse
import json
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from harness import Cluster, Failure, Node, port_of, wait_until

IDEAL_GOAL_S = 20   # after the last join
HEALED_GOAL_S = 30  # after the kill
REPORT = "build/reports/ring.json"


def say(*what):
    print(*what, file=sys.stderr, flush=True)


def grow(cluster, size):
    """All at once, each through two of the first four: the worst case for a ring. Returns when all are ready."""
    while len(cluster.nodes) < min(4, size):
        cluster.add()
    founders = [node.address for node in cluster.nodes[:4]]
    for number in range(len(cluster.nodes), size):
        cluster.nodes.append(Node(cluster, "node", [founders[number % 4], founders[(number + 1) % 4]]))
    for node in cluster.nodes:
        wait_until(f"node {node.port} to be ready", node.ready, 300)


def seconds_until_ideal(cluster, limit):
    start = time.monotonic()
    wait_until(f"an ideal ring of {len(cluster.live())}", cluster.ring_is_ideal, limit)
    return time.monotonic() - start


def right_successors(cluster):
    points = {node.port: node.status()["ring"] for node in cluster.live()}
    order = sorted(points, key=lambda port: points[port]["point"])
    return sum(bool(points[port]["successors"]) and port_of(points[port]["successors"][0]) == order[(place + 1) % len(order)]
               for place, port in enumerate(order))


def cpu_ms(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def loopback_bytes():
    """Bytes sent over loopback by everybody; each is received once, so this counts a byte once."""
    with open("/proc/net/dev", encoding="utf-8") as file:
        for line in file:
            if line.strip().startswith("lo:"):
                return int(line.split(":")[1].split()[8])
    return 0


def idle_cost(cluster, seconds):
    """(bytes sent per node and second with TCP and IP headers, CPU ms per node and second) of a ring nobody asks anything."""
    nodes = cluster.live()
    before = loopback_bytes(), sum(cpu_ms(node.process.pid) for node in nodes), time.monotonic()
    time.sleep(seconds)  # measures a span; nothing is waited for
    span = (time.monotonic() - before[2]) * len(nodes)
    return (loopback_bytes() - before[0]) / span, (sum(cpu_ms(node.process.pid) for node in nodes) - before[1]) / span


def measure_large(program, size, report):
    with Cluster(program) as cluster:
        grow(cluster, size)
        report[f"ideal_{size}_s"] = round(seconds_until_ideal(cluster, 300), 1)
        say(f"{size} processes: ideal {report[f'ideal_{size}_s']} s after the last was ready")
        victims = random.Random(size).sample(cluster.nodes, size // 2)
        for victim in victims:
            victim.process.kill()
        for victim in victims:
            victim.process.wait()
        report[f"healed_{size // 2}_killed_s"] = round(seconds_until_ideal(cluster, 300), 1)
        say(f"{size // 2} killed at once: one ideal ring {report[f'healed_{size // 2}_killed_s']} s later")


def measure_sixteen(program, idle_s, report):
    with Cluster(program) as cluster:
        grow(cluster, 16)
        try:
            seconds_until_ideal(cluster, 60)
        except Failure as failure:
            say(failure)
        report["right_successors_of_16"] = right_successors(cluster)
        time.sleep(30)  # timers double while nothing changes: rest is reached by then
        sent, cpu = idle_cost(cluster, idle_s)
        report["idle_bytes_per_s"], report["idle_cpu_ms_per_s"] = round(sent), round(cpu, 2)
        say(f"16 processes: {report['right_successors_of_16']} right successors, at rest {sent:.0f} bytes and {cpu:.2f} ms CPU a second each")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--size", type=int)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", choices=["large", "sixteen"])
    parser.add_argument("--idle", type=int, default=30)
    options = parser.parse_args()
    program, report, size = os.path.join(options.build, "bulbil"), {}, options.size or (16 if options.quick else 64)
    if options.only and os.path.exists(REPORT):
        with open(REPORT, encoding="utf-8") as file:
            report = json.load(file)
    parts = {"large": (lambda: measure_large(program, size, report), [f"ideal_{size}_s", f"healed_{size // 2}_killed_s"]),
             "sixteen": (lambda: measure_sixteen(program, options.idle, report),
                         ["right_successors_of_16", "idle_bytes_per_s", "idle_cpu_ms_per_s"])}
    for name, (part, figures) in parts.items():
        if options.only not in (None, name):
            continue
        for figure in figures:
            report.pop(figure, None)  # a part that fails leaves no figure of an earlier run
        try:
            part()
        except Failure as failure:
            say("missed:", failure)
    print(json.dumps(report, indent=1))
    os.makedirs("build/reports", exist_ok=True)
    with open(REPORT, "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1)
    reached = (report.get(f"ideal_{size}_s", 999) <= IDEAL_GOAL_S and report.get(f"healed_{size // 2}_killed_s", 999) <= HEALED_GOAL_S
               and report.get("right_successors_of_16") == 16)
    sys.exit(0 if reached else 1)


if __name__ == "__main__":
    main()
