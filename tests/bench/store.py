#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# targets: store_bench
# packages: libopendht-dev iproute2
"""The store of ours beside OpenDHT: 16 nodes in one machine, alternating, the same sizes, concurrency and history.

usage: store.py BUILD_FOLDER [--rounds N] [--ops N] [--fresh-ops N] [--keys N] [--quick]
A fresh network for every size and round, then OPS puts one at a time, OPS puts 32 at a time, and as many gets; so both programs
have the same history when a phase begins. OpenDHT's operations grow dearer with it: the ratios after thousands of operations
(OPS) stand beside those of one more round in which there were few (FRESH_OPS), as fresh_*. Each run has a network namespace of its own,
whose loopback counts the bytes. Ours: four clients in the driver's process that are whole nodes, twelve processes of one node
(tests/bench/store_bench.cc); every put is on two synced disks when it counts. OpenDHT: the same, values in memory, no TLS
(peers/opendht). CPU: user and system time of all those processes, the driver's too.

Writes build/reports/store-bench.json: ratios are ours / OpenDHT, 32 at a time, medians over the rounds, the worse of 256 B and 1 KiB;
every figure stands beside them. found_after_quarter_killed: of the values with a holder left alive.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
SIZES = (256, 1024)
PHASES = [f"{what}_c{at_once}" for what in ("put", "get") for at_once in (1, 32)]
# key: (phase, measure, goal, whether more is better)
RATIOS = {
    "put_rate_ratio": ("put", "ops_per_s", 2, True),
    "put_cpu_ratio": ("put", "cpu_ms_per_op", 0.5, False),
    "get_rate_ratio": ("get", "ops_per_s", 4, True),
    "get_cpu_ratio": ("get", "cpu_ms_per_op", 0.25, False),
    "put_wire_ratio": ("put", "lo_bytes_per_op", 0.3, False),
}


def alone(command, limit):
    """Runs it in a network namespace of its own; returns the JSON object that it prints."""
    inside = ["unshare", "-n", "sh", "-c", 'ip link set lo up; exec "$@"', "sh"]
    done = subprocess.run(inside + command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=limit)
    if not done.stdout.strip():
        raise RuntimeError("nothing measured: " + " ".join(command))
    return json.loads(done.stdout)


def build_peer(build):
    program = os.path.join(build, "tests", "bench", "odht_bench")
    source = os.path.join(HERE, "peers", "opendht", "odht_bench.cpp")
    if not os.path.exists(program) or os.path.getmtime(program) < os.path.getmtime(source):
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", "opendht"], capture_output=True, text=True, check=True)
        subprocess.run(["g++", "-O2", "-std=c++17", source, "-o", program, *flags.stdout.split(), "-lpthread"], check=True)
    return program


def ours(build, words):
    with tempfile.TemporaryDirectory(prefix="bulbil-bench-") as folder:
        return alone([os.path.join(build, "tests", "bench", "store_bench"), "--n", "16", "--folder", folder, *words], 280)


def theirs(program, words):
    return alone([program, "--n", "16", "--per-proc", "1", "--secs", "60", *words], 280)


def say(name, figures, size):
    for phase in PHASES:
        what, at_once = phase.split("_")
        row = figures[f"{what}_{size}_{at_once}"]
        print(f"{name:8} {what} {size:5} B {at_once:>3}: {row['ops_per_s']:8.1f}/s  median {row['median_ms']:7.2f} ms  "
              f"p99 {row['p99_ms']:7.2f}  CPU {row['cpu_ms_per_op']:.3f} ms  {row['lo_bytes_per_op']:7.0f} B  failed {row['failed']}",
              flush=True)


def ratios(rounds, report, prefix=""):
    """rounds: of (size, ours, theirs)."""
    for size in SIZES:
        of_size = [(a, b) for each, a, b in rounds if each == size]
        for what in ("put", "get"):
            for at_once in ("c1", "c32"):
                phase = f"{what}_{size}_{at_once}"
                for measure in ("ops_per_s", "cpu_ms_per_op", "lo_bytes_per_op", "median_ms", "p99_ms"):
                    mine = statistics.median(a[phase][measure] for a, _ in of_size)
                    peer = statistics.median(b[phase][measure] for _, b in of_size)
                    report[f"{prefix}{phase}_{measure}"] = mine
                    report[f"{prefix}opendht_{phase}_{measure}"] = peer
                    report[f"{prefix}{phase}_{measure}_ratio"] = round(mine / peer, 4) if peer else None
    for key, (what, measure, _, is_more_better) in RATIOS.items():
        worse = min if is_more_better else max
        report[prefix + key] = worse(report[f"{prefix}{what}_{size}_c32_{measure}_ratio"] for size in SIZES)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ops", type=int, default=1000)
    parser.add_argument("--fresh-ops", type=int, default=400)
    parser.add_argument("--keys", type=int, default=600)
    parser.add_argument("--quick", action="store_true", help="one round of 300 operations")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.ops = 1, 300
    peer = build_peer(options.build)

    def measure(number, ops):
        rounds = []
        for size in SIZES:
            words = ["--sizes", str(size), "--maxops", str(ops), "--kill", "0"]
            run = {}
            for name in ("ours", "opendht") if number % 2 == 0 else ("opendht", "ours"):
                run[name] = ours(options.build, words) if name == "ours" else theirs(peer, words)
                say(name, run[name], size)
            rounds.append((size, run["ours"], run["opendht"]))
        return rounds

    report = {"rounds": options.rounds, "ops": options.ops, "fresh_ops": options.fresh_ops, "nodes": 16}
    ratios([one for number in range(options.rounds) for one in measure(number, options.ops)], report)
    ratios(measure(1, options.fresh_ops), report, "fresh_")
    killed = ours(options.build, ["--sizes", "none", "--kill", "1", "--keys", str(options.keys)])["kill_quarter"]
    report["found_after_quarter_killed"] = killed["found"] / max(1, killed["with_living_holder"])
    report["killed_keys"] = killed["keys"]
    report["killed_without_holder_share"] = 1 - killed["with_living_holder"] / max(1, killed["keys"])
    # All three holders of a record among the 4 of 16 that were killed, none of them a client.
    report["killed_without_holder_closed_form"] = 4 * 3 * 2 / (16 * 15 * 14)
    os.makedirs("build/reports", exist_ok=True)
    with open("build/reports/store-bench.json", "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1)
    missed = [key for key, (_, _, goal, more) in RATIOS.items() if (report[key] < goal if more else report[key] > goal)]
    for key, (_, _, goal, _) in RATIOS.items():
        print(f"{key:28} {report[key]:.3f}  goal {goal}{'  missed' if key in missed else ''}   fresh {report['fresh_' + key]:.3f}")
    print(f"found_after_quarter_killed   {report['found_after_quarter_killed']:.4f}  goal 1")
    sys.exit(1 if missed or report["found_after_quarter_killed"] < 1 else 0)


if __name__ == "__main__":
    main()
