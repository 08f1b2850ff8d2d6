#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# targets: chord_experiments
# packages: gnuplot-nox
"""The experiments of the Chord paper over the ring as it ships, beside the paper's figures.

usage: chord.py BUILD_FOLDER [--quick] [--redraw]
Writes build/reports/chord.json (with what build/reports/chord-proof.json holds, if it is there), docs/figures/*.svg and
docs/chord-figures.md. Rows are kept in build/reports/chord-rows.json; --redraw takes them from there. --quick: smaller rings, fewer
lookups, and no change to docs/.
"""
import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import chord_page

REPORTS = "build/reports"
QUICK = {
    "load": [("10000", "200000")], "plain": [(str(k), "20") for k in range(3, 13)], "path": [(str(k), "20") for k in range(3, 13)],
    "failures": [("20", "2000"), ("8", "2000")], "stabilizing": [("0.05", "1200"), ("0.4", "1200")],
    "halflife": [("10", "60"), ("5", "60"), ("1", "60")], "largest": [("10000", "5")],
}
FULL = {
    "load": [("10000", "1000000")],
    "plain": [(str(k), "100") for k in range(3, 15)] + [("17", "2")], "path": [(str(k), "100") for k in range(3, 15)] + [("17", "2")],
    "failures": [("20", "10000"), ("8", "10000")],
    "stabilizing": [(f"{rate / 100:g}", "7200") for rate in range(5, 45, 5)],
    "halflife": [("10", "600"), ("5", "600"), ("1", "600")], "largest": [("100000", "5")],
}


def run(build, experiment, size, count):
    program = os.path.join(build, "tests", "sim", "chord_experiments")
    result = subprocess.run([program, experiment, size, count, "1"], capture_output=True, text=True, preexec_fn=lambda: os.nice(5))
    if result.returncode != 0:
        sys.exit(f"{experiment} {size} {count}: exit {result.returncode}\n{result.stderr[-2000:]}")
    print(experiment, size, "done", file=sys.stderr, flush=True)
    return [json.loads(line) for line in result.stdout.splitlines()]


def measure(build, plan, rows, keep):
    """One process an experiment, two at a time, the largest ring alone because it is timed."""
    jobs = [(name, *sizes) for name in plan for sizes in plan[name] if name != "largest"]
    with ThreadPoolExecutor(2) as pool:
        for (name, *_), found in zip(jobs, pool.map(lambda job: run(build, *job), jobs)):
            rows.setdefault(name, []).extend(found)
            keep(rows)
    for sizes in plan["largest"]:
        rows.setdefault("largest", []).extend(run(build, "largest", *sizes))
    keep(rows)


def of(rows, name, **wanted):
    for row in rows.get(name, []):
        if all(row[key] == value for key, value in wanted.items()):
            return row
    return None


def report(rows):
    """Metrics; one that was not measured is absent."""
    metrics = {}

    def put(name, row, value):
        if row:
            metrics[name] = round(value(row), 4)

    put("path_mean_2p14_plain", of(rows, "plain", exponent=14), lambda row: row["hops_mean"])
    put("path_mean_2p14", of(rows, "path", exponent=14), lambda row: row["hops_mean"])
    put("lookup_failures_half_dead", of(rows, "failures", r=20, dead=0.5), lambda row: row["failed"])
    put("lookup_failures_half_dead_r8", of(rows, "failures", r=8, dead=0.5), lambda row: row["failed"])
    put("timeouts_half_dead", of(rows, "failures", r=20, dead=0.5), lambda row: row["timeouts_mean"])
    put("table3_failures_per_10k_at_040", of(rows, "stabilizing", rate=0.4),
        lambda row: 10000 * (row["wrong"] + row["failed"]) / row["lookups"])
    for minutes in (10, 5, 1):
        row = of(rows, "halflife", minutes=minutes)
        put(f"right_lookups_{minutes}min", row, lambda row: row["right"] / row["lookups"])
        put(f"right_lookups_at_once_{minutes}min", row, lambda row: row["right_at_once"] / row["lookups"])
    largest = max(rows.get("largest", []), key=lambda row: row["nodes"], default=None)
    put("largest_ring", largest, lambda row: row["nodes"])
    put("bytes_per_node", largest, lambda row: row["bytes_per_node"])
    put("events_per_s", largest, lambda row: row["events_per_s"])
    return metrics


def write_json(name, value):
    os.makedirs(REPORTS, exist_ok=True)
    with open(os.path.join(REPORTS, name), "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1)


def read_json(name):
    path = os.path.join(REPORTS, name)
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--redraw", action="store_true")
    options = parser.parse_args()
    rows = read_json("chord-rows.json") if options.redraw else {}
    if not options.redraw:
        measure(options.build, QUICK if options.quick else FULL, rows,
                lambda so_far: write_json("chord-rows-quick.json" if options.quick else "chord-rows.json", so_far))
    metrics = {**read_json("chord-proof.json"), **report(rows)}
    write_json("chord.json", metrics)
    print(json.dumps(metrics, indent=1))
    if not options.quick:
        chord_page.write("docs", rows)


if __name__ == "__main__":
    main()
