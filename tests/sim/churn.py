#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# targets: ring_churn
"""Rings under long churn, the invariant checked at every change of every member's pointers.

usage: churn.py BUILD_FOLDER [--quick] [--hours-of SEEDS] [--events N] [--jobs N] [--report FILE]

Two campaigns: EVENTS churn events in rings of 1,000 nodes (in parts of their own seed, one event every 20 ms), and SEEDS rings of 64
nodes for one simulated hour each (one event a second). Writes build/reports/churn.json. Exits 1 if the invariant was violated.

Finished runs are kept in build/reports/churn-runs.jsonl under the digest of the program's code: started again with the same code, it
goes on where it was stopped.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading

REPORTS = "build/reports"
PART = 50_000  # events of one run with 1,000 nodes


def digest_of(program):
    """Of its code and constants: the same for one source, wherever it was built."""
    with tempfile.NamedTemporaryFile() as file:
        subprocess.run(["objcopy", "-O", "binary", "--only-section=.text", "--only-section=.rodata", program, file.name], check=True)
        return hashlib.sha256(file.read()).hexdigest()


class Journal:
    """Results of finished runs of one program, by their arguments."""

    def __init__(self, program):
        self.digest = digest_of(program)
        self.path = os.path.join(REPORTS, "churn-runs.jsonl")
        self.lock = threading.Lock()
        self.done = {}
        os.makedirs(REPORTS, exist_ok=True)
        if os.path.exists(self.path):
            with open(self.path, encoding="utf-8") as file:
                entries = [json.loads(line) for line in file if line.endswith("}\n")]
            self.done = {tuple(entry["run"]): entry["result"] for entry in entries if entry["program"] == self.digest}

    def run(self, *arguments):
        if arguments[1:] not in self.done:
            result = run(*arguments)
            with self.lock, open(self.path, "a", encoding="utf-8") as file:
                file.write(json.dumps({"program": self.digest, "run": arguments[1:], "result": result}) + "\n")
            return result
        return self.done[arguments[1:]]


def run(program, seed, nodes, events, pause_ms):
    command = [program, str(seed), str(nodes), str(events), str(pause_ms)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode not in (0, 1) or not done.stdout.startswith("{"):
        return {"violations": 1, "churn_events": 0, "failed": " ".join(command) + "\n" + done.stderr[-4000:]}
    result = json.loads(done.stdout.splitlines()[0])
    if result["violations"]:
        result["failed"] = " ".join(command) + "\n" + done.stderr[-4000:]
    return result


def campaign(pool, journal, name, jobs):
    total = {"runs": 0, "churn_events": 0, "changes_checked": 0, "whole_checks": 0, "violations": 0, "simulated_events": 0, "cpu_seconds": 0}
    for result in pool.map(lambda job: journal.run(*job), jobs):
        total["runs"] += 1
        for key in total:
            if key != "runs":
                total[key] += result.get(key, 0)
        if total["runs"] % 10 == 0:
            print(f"{name}: {total}", flush=True)
        if "failed" in result:
            print(f"{name}: broken, replay with: {result['failed']}", flush=True)
    total["cpu_seconds"] = round(total["cpu_seconds"])
    print(f"{name}: {total}", flush=True)
    return total


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("build")
    arguments.add_argument("--quick", action="store_true")
    arguments.add_argument("--hours-of", type=int)
    arguments.add_argument("--events", type=int)
    arguments.add_argument("--jobs", type=int, default=os.cpu_count())
    arguments.add_argument("--report", default=os.path.join(REPORTS, "churn.json"))
    options = arguments.parse_args()
    program = os.path.join(options.build, "tests/sim/ring_churn")
    seeds = options.hours_of if options.hours_of is not None else 10 if options.quick else 500
    events = options.events if options.events is not None else 2_000 if options.quick else 1_000_100  # a few find nobody to happen to
    big_jobs = [(program, 1000 + i, 1000, min(PART, events - i * PART), 20) for i in range((events + PART - 1) // PART)]
    small_jobs = [(program, seed, 64, 3600, 1000) for seed in range(seeds)]
    journal = Journal(program)
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        small = campaign(pool, journal, "64 nodes, 1 hour", small_jobs)
        big = campaign(pool, journal, "1,000 nodes", big_jobs)
    report = {f"{name}_{key}": value for name, total in (("hours_64", small), ("ring_1000", big)) for key, value in total.items()}
    report["churn_events"] = small["churn_events"] + big["churn_events"]
    report["invariant_violations"] = small["violations"] + big["violations"]
    with open(options.report, "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1)
    sys.exit(1 if report["invariant_violations"] else 0)


if __name__ == "__main__":
    main()
