#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# targets: anonymity
"""Relays chosen by the program's own cores in rings with hostile members, and what that was worth.

usage: anonymity.py BUILD_FOLDER [--quick] [--seeds N] [--jobs N] [--minutes N] [--only WORD,WORD] [--figures FOLDER]

Every share of hostile members (5, 10, 20, 30 %), ring size (64, 256, 1,000, 10,000) and strategy, 10 seeds; more clients where a goal
stands. Writes build/reports/anonymity.json and, with --figures, the pictures of docs/anonymity.md. Exits 1 if a run failed.
The whole takes hours, so it goes on where it was: each run's result is kept in build/reports/anonymity-parts, under the digest of the
program that made it. --minutes begins no run after that time, --only runs those sizes or strategies alone; what is missing then is said, and the
report counts what there is ("runs" of "runs_wanted"). One seed of everything comes before the next. NAME_error is the standard error of
the mean over the seeds.
"""
import argparse
import concurrent.futures
import hashlib
import json
import math
import os
import statistics
import subprocess
import sys
import time

SHARES = [0.05, 0.1, 0.2, 0.3]
SIZES = [64, 256, 1000, 10000]
STRATEGIES = [("passive", 1), ("lying", 1), ("hiding", 1), ("refusing", 1), ("lying", 4), ("lying", 16)]


def is_headline(size, share, strategy):
    return size >= 1000 and (share == 0.2 or strategy == ("lying", 1))


class Parts:
    """Results of runs that were made, by their arguments; None: not made, for the time is over or nobody asked."""

    def __init__(self, program, until, only):
        self.program, self.until, self.only = program, until, only
        with open(program, "rb") as file:
            self.folder = os.path.join("build/reports/anonymity-parts", hashlib.sha256(file.read()).hexdigest()[:16])
        os.makedirs(self.folder, exist_ok=True)

    def run(self, *arguments):
        words = [str(argument) for argument in arguments]
        path = os.path.join(self.folder, "-".join(words) + ".json")
        if os.path.exists(path):
            with open(path) as file:
                return json.load(file)
        if time.monotonic() > self.until or (self.only and not self.only & set(words[:3:2])):
            return None
        begun = time.monotonic()
        done = subprocess.run([self.program, *words], capture_output=True, text=True)
        if done.returncode != 0:
            return {"failed": " ".join([self.program, *words]) + "\n" + done.stderr[-2000:]}
        result = dict(json.loads(done.stdout), run_seconds=time.monotonic() - begun)
        with open(path + ".new", "w") as file:
            json.dump(result, file)
        os.rename(path + ".new", path)
        return result


def mean(results, key):
    values = [result[key] for result in results if key in result and result[key] != -1]
    return sum(values) / len(values) if values else None


def error(results, key):
    values = [result[key] for result in results if key in result and result[key] != -1]
    return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None


def worst(values, pick=max):
    values = [value for value in values if value is not None]
    return pick(values) if values else None


class Table:
    """Means over seeds, by size, share and strategy."""

    def __init__(self):
        self.results = {}

    def add(self, size, share, strategy, result):
        self.results.setdefault((size, share, strategy), []).append(result)

    def at(self, key, size, share=0.2, strategy=("lying", 1)):
        return mean(self.results.get((size, share, strategy), []), key)

    def error(self, key, size, share=0.2, strategy=("lying", 1)):
        return error(self.results.get((size, share, strategy), []), key)

    def worst(self, key, share=0.2, strategy=("lying", 1)):
        return worst(self.at(key, size, share, strategy) for size in (1000, 10000))


def report_of(table):
    grinding, refusing, passive, hiding = ("lying", 16), ("refusing", 1), ("passive", 1), ("hiding", 1)
    return {
        "compromised_lying": table.worst("compromised"),
        "compromised_grinding": table.worst("compromised", strategy=grinding),
        "compromised_refusal": table.worst("compromised_of_standing", strategy=refusing),
        "compromised_refusal_error": worst(table.error("compromised_of_standing", size, strategy=refusing) for size in (1000, 10000)),
        "compromised_refusal_first_400": table.worst("compromised_of_standing_first", strategy=refusing),
        "compromised_refusal_without_path_bias": table.worst("compromised_of_standing_without_path_bias", strategy=refusing),
        "compromised_f30": table.worst("compromised", share=0.3),
        "compromised_own_fingers": table.worst("own_fingers_compromised", strategy=passive),
        "compromised_unchecked_walk": table.worst("unchecked_walk_compromised"),
        "compromised_bounded_walk": table.worst("bounded_walk_compromised"),
        "compromised_guard_and_last_or_replica": table.worst("guard_and_last_or_replica"),
        "entropy_1k": table.at("entropy", 1000),
        "entropy_10k": table.at("entropy", 10000),
        "entropy_1k_passive": table.at("entropy", 1000, strategy=passive),
        "entropy_10k_passive": table.at("entropy", 10000, strategy=passive),
        "entropy_1k_nobody_excluded": table.at("entropy_nobody_excluded", 1000),
        "entropy_10k_nobody_excluded": table.at("entropy_nobody_excluded", 10000),
        "entropy_own_fingers_1k": table.at("own_fingers_entropy", 1000, strategy=passive),
        "entropy_own_fingers_10k": table.at("own_fingers_entropy", 10000, strategy=passive),
        "named_own_fingers_10k": table.at("own_fingers_named", 10000, strategy=passive),
        "named_10k": table.at("named", 10000),
        "leak_1k": table.at("leak", 1000),
        "leak_1k_error": table.error("leak", 1000),
        "leak_1k_passive": table.at("leak", 1000, strategy=passive),
        "leak_10k_passive": table.at("leak", 10000, strategy=passive),
        "leak_10k": table.at("leak", 10000),
        "lookup_leak_initiator": table.worst("lookup_leak_initiator"),
        "lookup_leak_initiator_without_dummies": table.worst("lookup_leak_initiator_without_dummies"),
        "lookup_leak_initiator_last_hop_alone": table.worst("lookup_leak_initiator_last_hop_alone"),
        "right_lookups": worst((table.at("right_lookups", size, strategy=strategy)
                                for size in (1000, 10000) for strategy in (("lying", 1), hiding, refusing)), min),
        "hostile_share_hiding": table.worst("hostile_share", strategy=hiding),
        "users_touched_100": table.worst("users_touched_100"),
        "users_touched_100_without_guards": table.worst("users_touched_100_without_guards"),
        "heaviest_relay": table.worst("heaviest_relay"),
        "hostile_share": table.worst("hostile_share"),
        "hostile_share_refusal": table.worst("hostile_share", strategy=refusing),
        "hostile_share_grinding4": table.worst("hostile_share", strategy=("lying", 4)),
        "hostile_share_grinding16": table.worst("hostile_share", strategy=grinding),
        "arc_sampler_hostile_share_grinding16": table.worst("arc_sampler_hostile_share", strategy=grinding),
        "sampler_bits_from_uniform": table.worst("sampler_bits_from_uniform", strategy=passive),
        "tables_per_lookup_10k": table.at("tables_per_lookup", 10000),
        "lookup_seconds_10k": table.at("lookup_seconds", 10000),
        "pool_entry_bytes": table.at("bytes_per_relay", 10000),
        "pool_entry_handshakes": table.at("handshakes_per_relay", 10000),
        "usable_after_minutes_10k": table.at("usable_after_minutes", 10000),
    }


GOALS = [  # figure, what it may be at most (or least, negative), what plain choices or others have
    ("compromised_lying", 0.045, "f² = 0.040; unchecked walk 0.197"),
    ("compromised_grinding", 0.055, "f² = 0.040"),
    ("compromised_refusal", 0.072, "f²/(f²+(1-f)³) = 0.072"),
    ("compromised_f30", 0.10, "f² = 0.090"),
    ("entropy_1k", -7.5, "own fingers 0.59; of 9.64"),
    ("entropy_10k", -10.2, "own fingers 0.56; of 12.97"),
    ("leak_1k", 0.40, "own fingers 1.77"),
    ("leak_10k", 0.55, "own fingers 2.48; Octopus 0.57 at 100,000"),
    ("lookup_leak_initiator", 0.6, "Octopus 0.57; plain Chord 7.1"),
    ("right_lookups", -0.99, "Chord 0.2-0.3, Halo 0.99"),
    ("users_touched_100", 0.21, "no guard 0.98"),
    ("heaviest_relay", 1.3, "by arc 7.5"),
    ("hostile_share", 0.205, "0.200"),
    ("hostile_share_grinding16", 0.24, "by arc 0.32"),
    ("cold_start_s", 15, "100 nodes, 50 ms a link"),
    ("warm_start_s", 2, "the same"),
    ("warm_start_most_s", 2, "the slowest of 40"),
]


def print_table(report):
    print(f"{'figure (a fifth hostile)':34} {'measured':>9} {'goal':>9}   anchors")
    for name, goal, anchor in GOALS:
        if report.get(name) is None:
            print(f"{name:34} {'missing':>9}")
            continue
        met = report[name] >= -goal if goal < 0 else report[name] <= goal
        bound = f">= {-goal:g}" if goal < 0 else f"<= {goal:g}"
        print(f"{name:34} {report[name]:9.4f} {bound:>9} {'  ' if met else '! '}{anchor}")


def bars(title, unit, rows, top, path):
    """rows: (label, value, kind), kind 0 ours, 1 contrast, 2 a bound. One bar each."""
    colours = ["#2a6f97", "#b0b7bd", "#e0a458"]
    height = 46 + 24 * len(rows)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 {height}" font-family="sans-serif" font-size="12">',
           f'<rect width="640" height="{height}" fill="white"/><text x="12" y="20" font-size="14">{title}</text>']
    for i, (label, value, kind) in enumerate(rows):
        y = 36 + 24 * i
        width = max(1, 330 * min(value, top) / top)
        text = f"{value:.1%}" if unit == "%" else f"{value:.2f} {unit}"
        out.append(f'<text x="226" y="{y + 12}" text-anchor="end">{label}</text>'
                   f'<rect x="234" y="{y}" width="{width:.1f}" height="16" fill="{colours[kind]}"/>'
                   f'<text x="{240 + width:.1f}" y="{y + 12}">{text}</text>')
    out.append("</svg>\n")
    with open(path, "w") as file:
        file.write("<!-- SPDX-License-Identifier: Apache-2.0 -->\n" + "\n".join(out))


def draw(report, table, folder):
    os.makedirs(folder, exist_ok=True)
    bars("Circuits with both ends hostile, a fifth of the nodes being so", "%", [
        ("secret pool, tables lie", report["compromised_lying"], 0), ("ids ground 16 times", report["compromised_grinding"], 0),
        ("circuits refused", report["compromised_refusal"], 0), ("best possible: f²", 0.04, 2),
        ("walk held to bounds", report["compromised_bounded_walk"], 1), ("walk, unchecked", report["compromised_unchecked_walk"], 1),
    ], 0.25, os.path.join(folder, "compromised.svg"))
    most = math.log2(8000)
    bars("What is left to guess about the sender, last hop hostile, 10,000 nodes", "bit", [
        ("everybody alike", most, 2), ("secret pool", report["entropy_10k"], 0),
        ("three of one's own fingers", report["entropy_own_fingers_10k"], 1)], most, os.path.join(folder, "sender.svg"))
    bars("Users with at least one watched circuit in 100", "%", [
        ("one guard, kept", report["users_touched_100"], 0), ("a new guard each time", report["users_touched_100_without_guards"], 1)],
         1, os.path.join(folder, "touched.svg"))
    bars("Both ends hostile, by the share of hostile nodes (tables lie, 10,000 nodes)", "%",
         [(f"{share:.0%} hostile", table.at("compromised", 10000, share), 0) for share in SHARES], 0.12, os.path.join(folder, "shares.svg"))


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("build")
    arguments.add_argument("--quick", action="store_true")
    arguments.add_argument("--seeds", type=int)
    arguments.add_argument("--jobs", type=int, default=os.cpu_count())
    arguments.add_argument("--minutes", type=float, default=math.inf)
    arguments.add_argument("--only", type=lambda text: set(text.split(",")))
    arguments.add_argument("--figures")
    options = arguments.parse_args()
    program = os.path.join(options.build, "tests/sim/anonymity")
    seeds = options.seeds or (2 if options.quick else 10)
    jobs = []
    for seed in range(1, seeds + 1):
        for size in SIZES:
            for share in SHARES:
                for strategy in STRATEGIES:
                    headline = is_headline(size, share, strategy)
                    if headline or not options.quick:
                        jobs.append((size, share, strategy, seed, 60 if headline else 3))
    table, failed, missing, seconds = Table(), [], 0, 0
    parts = Parts(program, time.monotonic() + 60 * options.minutes, options.only)
    starts = [parts.run("start", seed) for seed in range(1, min(seeds, 3) + 1)]
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        made = pool.map(lambda job: parts.run(job[0], job[1], *job[2], *job[3:]), jobs)
        for (size, share, strategy, _, _), result in zip(jobs, made):
            if result is None:
                missing += 1
            elif "failed" in result:
                failed.append(result["failed"])
            else:
                table.add(size, share, strategy, result)
                seconds += result["run_seconds"]
    failed += [start["failed"] for start in starts if start and "failed" in start]
    for text in failed:
        print(f"failed, replay with: {text}")
    if failed:
        sys.exit(1)
    report = report_of(table)
    report["seeds"] = seeds
    report["quick"] = options.quick
    report["runs"], report["runs_wanted"] = len(jobs) - missing, len(jobs)
    report["core_minutes"] = seconds / 60
    starts = [start for start in starts if start]
    report.update({key: worst(start[key] for start in starts) for key in (starts[0] if starts else []) if key != "run_seconds"})
    if missing:
        print(f"{missing} of {len(jobs)} runs are missing: call again, and it goes on")
    print_table(report)
    if not options.quick:
        print("\nboth ends hostile, by ring size and hostile share (tables lie)")
        for size in SIZES:
            shown = {share: table.at("compromised", size, share) for share in SHARES}
            print(f"{size:6}", *(f"{share:.0%}: {value:.4f}" for share, value in shown.items() if value is not None))
    os.makedirs("build/reports", exist_ok=True)
    with open("build/reports/anonymity.json", "w") as file:
        json.dump(report, file, indent=1)
    with open("build/reports/anonymity-grid.json", "w") as file:
        json.dump([{"nodes": size, "hostile": share, "strategy": strategy[0], "grind": strategy[1],
                    **{key: mean(results, key) for key in results[0]}}
                   for (size, share, strategy), results in table.results.items()], file, indent=1)
    if options.figures and None not in report.values():
        draw(report, table, options.figures)


if __name__ == "__main__":
    main()
