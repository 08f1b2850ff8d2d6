#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# targets: store_repair
"""What repair of a range costs beside other ways, at n records and d differences.

usage: store.py BUILD_FOLDER [--records N] [--runs N]
Writes build/reports/store-sim.json: repair_bytes_dD (means, beyond the records) and repair_cpu_ms_dD; what others put there
stays. Exits 1 if a goal is missed.
"""
import argparse
import json
import os
import re
import subprocess
import sys

GOALS = {0: 64, 10: 350, 100: 2500, 1000: 24000, 10000: 240000}  # bytes beyond the records
CPU_GOAL_MS = 20  # at 500 differences, kept rows
# Negentropy C++ with ids of 32 bytes, differences spread evenly, n = 10^6: measured before, bytes in all.
NEGENTROPY = {0: 351, 10: 20224, 100: 171719, 1000: 1410000, 10000: 10760000}
SEED_RECORD = 32 + 8 + 256  # id, time and 256 bytes of content: the seed sends every record of the range for one difference
MERKLE_FANOUT, MERKLE_HASH, MERKLE_LEAF = 64, 20, 64  # DHash


def merkle_bytes(records, differences):
    """Closed form: expected nodes that differ per level, their children's hashes both ways, ids of the leaves."""
    if differences == 0:
        return 2 * MERKLE_HASH
    total, nodes = 0.0, 1
    while records / nodes > MERKLE_LEAF:
        touched = nodes * (1 - (1 - 1 / nodes) ** differences)
        total += touched * 2 * MERKLE_FANOUT * MERKLE_HASH
        nodes *= MERKLE_FANOUT
    touched = nodes * (1 - (1 - 1 / nodes) ** differences)
    return total + touched * records / nodes * MERKLE_HASH


def measure(build, records, runs):
    program = os.path.join(build, "tests", "sim", "store_repair")
    result = subprocess.run([program, str(records), str(runs)] + [str(d) for d in sorted(set(GOALS) | {500})],
                            capture_output=True, text=True, check=True)
    rows = {}
    for line in result.stdout.splitlines():
        values = dict(re.findall(r"(\w+)=([\d.]+)", line))
        rows[int(values["d"])] = {name: float(value) for name, value in values.items()}
    return rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=100)
    options = parser.parse_args()
    rows = measure(options.build, options.records, options.runs)

    print("| d | bytes beyond the records | goal | messages | CPU ms, both nodes | Merkle tree | Negentropy | seed |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for d, row in sorted(rows.items()):
        seed = options.records * SEED_RECORD if d else 76
        goal, negentropy = (f"{table[d]:,}" if d in table else "-" for table in (GOALS, NEGENTROPY))
        print(f"| {d:,} | {row['bytes']:,.0f} | {goal} | {row['messages']:.1f} | {row['cpu_ms']:.2f} |"
              f" {merkle_bytes(options.records, d):,.0f} | {negentropy} | {seed:,} |")

    path = "build/reports/store-sim.json"
    report = {}
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            report = json.load(file)
    for d, row in rows.items():
        report[f"repair_bytes_d{d}"] = row["bytes"]
        report[f"repair_cpu_ms_d{d}"] = row["cpu_ms"]
    report["repair_records"] = options.records
    report["repair_runs"] = options.runs
    os.makedirs("build/reports", exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1)
    missed = any(rows[d]["bytes"] > goal for d, goal in GOALS.items()) or rows[500]["cpu_ms"] > CPU_GOAL_MS
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
