#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# targets: ring_churn
"""Rings under long churn, the invariant checked at every change of every member's pointers.

usage: churn.py BUILD_FOLDER [--quick] [--hours-of SEEDS] [--events N] [--jobs N]

Two campaigns: EVENTS churn events in rings of 1,000 nodes (in parts of their own seed, one event every 20 ms), and SEEDS rings of 64
nodes for one simulated hour each (one event a second). Writes build/reports/churn.json. Exits 1 if the invariant was violated.
"""
import argparse
import concurrent.futures
import json
import os
import subprocess
import sys
import time

PART = 20_000  # events of one run with 1,000 nodes


def run(program, seed, nodes, events, pause_ms):
    command = [program, str(seed), str(nodes), str(events), str(pause_ms)]
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode not in (0, 1) or not done.stdout.startswith("{"):
        return {"violations": 1, "churn_events": 0, "seconds": 0, "failed": " ".join(command) + "\n" + done.stderr[-4000:]}
    result = json.loads(done.stdout.splitlines()[0])
    result["seconds"] = time.monotonic() - started
    if result["violations"]:
        result["failed"] = " ".join(command) + "\n" + done.stderr[-4000:]
    return result


def campaign(pool, name, jobs):
    started = time.monotonic()
    total = {"runs": 0, "churn_events": 0, "changes_checked": 0, "whole_checks": 0, "violations": 0, "simulated_events": 0}
    for result in pool.map(lambda job: run(*job), jobs):
        total["runs"] += 1
        for key in total:
            if key != "runs":
                total[key] += result.get(key, 0)
        if "failed" in result:
            print(f"{name}: broken, replay with: {result['failed']}", flush=True)
    total["seconds"] = round(time.monotonic() - started, 1)
    print(f"{name}: {total}", flush=True)
    return total


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("build")
    arguments.add_argument("--quick", action="store_true")
    arguments.add_argument("--hours-of", type=int)
    arguments.add_argument("--events", type=int)
    arguments.add_argument("--jobs", type=int, default=os.cpu_count())
    options = arguments.parse_args()
    program = os.path.join(options.build, "tests/sim/ring_churn")
    seeds = options.hours_of if options.hours_of is not None else 10 if options.quick else 500
    events = options.events if options.events is not None else 2_000 if options.quick else 1_000_000
    big_jobs = [(program, 1000 + i, 1000, min(PART, events - i * PART), 20) for i in range((events + PART - 1) // PART)]
    small_jobs = [(program, seed, 64, 3600, 1000) for seed in range(seeds)]
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        small = campaign(pool, "64 nodes, 1 hour", small_jobs)
        big = campaign(pool, "1,000 nodes", big_jobs)
    report = {f"{name}_{key}": value for name, total in (("hours_64", small), ("ring_1000", big)) for key, value in total.items()}
    report["churn_events"] = small["churn_events"] + big["churn_events"]
    report["invariant_violations"] = small["violations"] + big["violations"]
    os.makedirs("build/reports", exist_ok=True)
    with open("build/reports/churn.json", "w") as file:
        json.dump(report, file, indent=1)
    sys.exit(1 if report["invariant_violations"] else 0)


if __name__ == "__main__":
    main()
