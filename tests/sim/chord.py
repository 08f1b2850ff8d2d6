#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# targets: chord_experiments ring_churn sim_test
# packages: gnuplot-nox
"""What shows that the ring is correct, and the experiments of the Chord paper over the ring as it ships, beside the paper's figures.

usage: chord.py BUILD_FOLDER [--quick] [--only PART...] [--redraw]

Parts: scripts, interleavings, mutants, churn (the proof) and the experiments load, plain, path, stretch, ownstretch, nearness,
failures, stabilizing, halflife, rest, largest. Writes build/reports/chord.json, docs/figures/*.svg and docs/chord-figures.md. What each part found is
kept in build/reports/chord-rows.json: --only repeats some parts and takes the others from there, --redraw takes all. --quick: less of
everything, in files of its own (chord-rows-quick.json), and no change to docs/. Exits 1 if the invariant, a script or a mutant fails.
"""
import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import chord_page

REPORTS = "build/reports"
PROOF = ("scripts", "interleavings", "mutants", "churn")
QUICK = {
    "load": [("10000", "200000")], "plain": [(str(k), "20") for k in range(3, 13)], "path": [(str(k), "20") for k in range(3, 13)],
    "stretch": [("14", "1000")], "ownstretch": [("11", "1000")], "nearness": [("500", "10")],
    "failures": [("20", "2000"), ("8", "2000")], "stabilizing": [("0.05", "1200"), ("0.4", "1200")],
    "halflife": [("10", "60"), ("5", "60"), ("1", "60")], "rest": [("200", "300")], "largest": [("10000", "5")],
}
FULL = {
    "load": [("10000", "1000000")],
    "plain": [(str(k), "100") for k in range(3, 15)] + [("17", "2")],
    "path": [(str(k), "100") for k in range(3, 15)] + [("17", "2")],
    "stretch": [("16", "10000")], "ownstretch": [("14", "10000")], "nearness": [("2000", "40")],
    "failures": [("20", "10000"), ("8", "10000")],
    "stabilizing": [(f"{rate / 100:g}", "20000") for rate in range(5, 45, 5)],
    "halflife": [("10", "1800"), ("5", "1800"), ("1", "900")], "rest": [("500", "600")], "largest": [("100000", "5")],
}


def run(build, experiment, size, count):
    program = os.path.join(build, "tests", "sim", "chord_experiments")
    result = subprocess.run([program, experiment, size, count, "1"], capture_output=True, text=True, preexec_fn=lambda: os.nice(5))
    if result.returncode != 0:
        sys.exit(f"{experiment} {size} {count}: exit {result.returncode}\n{result.stderr[-2000:]}")
    print(experiment, size, "done", file=sys.stderr, flush=True)
    return [json.loads(line) for line in result.stdout.splitlines()]


def run_tests(build, name, pattern):
    """The tests of sim_test that match, each with what it recorded."""
    path = os.path.join(os.path.abspath(REPORTS), f"chord-{name}.gtest.json")
    subprocess.run([os.path.join(build, "tests", "sim", "sim_test"), "--gtest_filter=" + pattern, "--gtest_output=json:" + path],
                   stdout=subprocess.DEVNULL)
    with open(path, encoding="utf-8") as file:
        return [test for suite in json.load(file)["testsuites"] for test in suite["testsuite"]]


def run_script(name, build, quick):
    """mutants.py or churn.py; its report. They exit 1 if they find something, and say so in it."""
    path = os.path.join(REPORTS, f"chord-{name}{'-quick' if quick else ''}.json")
    command = [sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), name + ".py"), build, "--report", path]
    subprocess.run(command + (["--quick"] if quick else []), stdout=sys.stderr)
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def prove(build, part, quick):
    if part == "scripts":  # each asserts that the reference breaks and that ours does not
        tests = run_tests(build, part, "Script.*:All/SeedScripts.*")
        return [{"scripts": len(tests), "failed": sum("failures" in test for test in tests)}]
    if part == "interleavings":
        tests = run_tests(build, part, "*EveryInterleaving*")
        return [{"name": test["name"].split("/")[-1], "searched": test.get("searched", ""), "failed": int("failures" in test)} for test in tests]
    return [run_script(part, build, quick)]


def measure(build, plan, rows, keep):
    """One process an experiment, two at a time; those that want gigabytes, or are timed, alone."""
    jobs = [(name, *sizes) for name in plan for sizes in plan[name]]
    alone = [job for job in jobs if job[0] == "largest" or (job[0] in ("plain", "path") and int(job[1]) > 14)]
    for width, some in ((2, [job for job in jobs if job not in alone]), (1, alone)):
        with ThreadPoolExecutor(width) as pool:
            for (name, *_), found in zip(some, pool.map(lambda job: run(build, *job), some)):
                rows.setdefault(name, []).extend(found)
                keep(rows)


def of(rows, name, **wanted):
    for row in rows.get(name, []):
        if all(row[key] == value for key, value in wanted.items()):
            return row
    return None


def report(rows):
    """Metrics; one that was not measured is absent."""
    metrics = {}
    for row in rows.get("scripts", []):
        metrics.update(scripts_broken_ours=row["failed"], scripts_broken_reference=row["scripts"] - row["failed"])
    if rows.get("interleavings"):
        metrics["interleaving_states"] = sum(int(row["searched"].split()[0]) for row in rows["interleavings"] if row["searched"])
        metrics["interleavings_broken"] = sum(row["failed"] for row in rows["interleavings"])
    for part in ("mutants", "churn"):
        for row in rows.get(part, []):
            metrics.update({key: row[key] for key in ("mutants", "mutants_caught", "churn_events", "invariant_violations",
                                                      "ring_1000_churn_events", "hours_64_runs") if key in row})

    def put(name, row, value):
        if row:
            metrics[name] = round(value(row), 4)

    put("path_mean_2p14_plain", of(rows, "plain", exponent=14), lambda row: row["hops_mean"])
    put("path_mean_2p14", of(rows, "path", exponent=14), lambda row: row["hops_mean"])
    put("learned_bytes_per_node", of(rows, "path", exponent=14), lambda row: row["learned_bytes"])
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
    parser.add_argument("--only", nargs="+", choices=[*PROOF, *FULL], default=[])
    parser.add_argument("--redraw", action="store_true")
    options = parser.parse_args()
    name = "chord-rows-quick.json" if options.quick else "chord-rows.json"
    rows = read_json(name) if options.redraw or options.only else {}
    wanted = [] if options.redraw else options.only or [*PROOF, *FULL]
    for part in wanted:
        rows.pop(part, None)
        if part in PROOF:
            rows[part] = prove(options.build, part, options.quick)
            write_json(name, rows)
    plan = QUICK if options.quick else FULL
    measure(options.build, {part: plan[part] for part in plan if part in wanted}, rows, lambda so_far: write_json(name, so_far))
    metrics = report(rows)
    write_json("chord.json", metrics)
    print(json.dumps(metrics, indent=1))
    if not options.quick:
        chord_page.write("docs", rows)
    alive = metrics.get("mutants", 0) - metrics.get("mutants_caught", 0)
    broken = [metrics.get(name, 0) for name in ("scripts_broken_ours", "interleavings_broken", "invariant_violations")]
    sys.exit(1 if alive or any(broken) else 0)


if __name__ == "__main__":
    main()
