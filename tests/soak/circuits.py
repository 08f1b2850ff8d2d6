#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# targets: circuits_test circuits_bench
"""Circuits under attack and over time: flipped bits, a neighbour that floods, memory of a relay that works.

usage: circuits.py BUILD_FOLDER [--flips N] [--flood N] [--mib N]
Writes build/reports/circuits-soak.json: flips, flips_delivered (tests of flips that failed); flood_honest_rate (rate of a client
while a neighbour of its guard asks for N circuits and keeps them, over its rate alone: all share the machine); flood_built;
rss_slope_bytes_per_million_cells at the middle relay, after a first half that fills its buffers. Exits 1 if a goal is missed.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "bench"))
import circuits as bench

HONEST_MIB, HONEST_SHARE = 16, 0.8
SLOPE_MAX = 1 << 20  # bytes a million cells: one megabyte for two gigabytes carried


def say(*what):
    print(*what, file=sys.stderr, flush=True)


def flip_bits(build, count):
    """(flips, delivered or wrongly survived) of the onion test that flips one bit at a time at every hop."""
    with tempfile.TemporaryDirectory() as folder:
        report = os.path.join(folder, "report.json")
        subprocess.run([os.path.join(build, "circuits_test"), "--gtest_filter=*Flip*", "--gtest_brief=1",
                        "--gtest_output=json:" + report], env=dict(os.environ, BULBIL_FLIPS=str(count)), check=False)
        with open(report, encoding="utf-8") as file:
            suites = json.load(file)["testsuites"]
    tests = [test for suite in suites for test in suite["testsuite"]]
    failed = [test for test in tests if test.get("failures")]
    return sum(int(test.get("flips", 0)) for test in tests if not test.get("failures")), len(failed)


def flood(ours, count):
    """(share of its rate that an honest client keeps, circuits that the flood built)."""
    alone = ours.ask(f"bulk 1 {HONEST_MIB}")["mb_s"]
    hostile = ours.spawn("client", *ours.descriptors)
    hostile.stdin.write(f"open {count}\n")
    hostile.stdin.flush()
    beside = ours.ask(f"bulk 1 {HONEST_MIB}")["mb_s"]
    built = json.loads(hostile.stdout.readline())["open"]
    hostile.stdin.close()
    hostile.wait(60)
    say(f"alone {alone:.1f} MB/s, beside the flood {beside:.1f} MB/s")
    return beside / alone, built


def rss_slope(ours, mib):
    """Growth of the middle relay's memory over the second half of that much bulk, by payload cells."""
    ours.ask(f"bulk 4 {mib // 2}")
    before = ours.middle_rss()
    moved = ours.ask(f"bulk 4 {mib // 2}")["bytes"]
    return (ours.middle_rss() - before) * 1024 / (moved / bench.CELL_PAYLOAD) * 1e6


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--flips", type=int, default=100000)
    parser.add_argument("--flood", type=int, default=10000)
    parser.add_argument("--mib", type=int, default=4096)
    options = parser.parse_args()
    report = {}
    report["flips"], report["flips_delivered"] = flip_bits(options.build, options.flips)
    ours = bench.Ours(options.build)
    try:
        report["flood_honest_rate"], report["flood_built"] = flood(ours, options.flood)
        report["rss_slope_bytes_per_million_cells"] = rss_slope(ours, options.mib)
    finally:
        ours.stop()
    print(json.dumps(report, indent=1))
    os.makedirs("build/reports", exist_ok=True)
    with open("build/reports/circuits-soak.json", "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1)
    missed = (report["flips"] < options.flips or report["flips_delivered"] or report["flood_honest_rate"] < HONEST_SHARE
              or report["rss_slope_bytes_per_million_cells"] > SLOPE_MAX)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
