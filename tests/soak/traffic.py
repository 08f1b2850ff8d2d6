#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# targets: traffic
"""Talking or silent? A classifier on the cells of a client's guard link, for clients on the clock and, for contrast, without it.

usage: traffic.py BUILD_FOLDER [--runs N] [--profile NAME] [--seed N] [--quick]
traffic_main.cc makes the runs, half of them talking, under virtual time over the real cores. Each is cut into windows of 15
ticks; a window is a vector of numbers: cells per second, gaps between cells, bursts, and how long cells that leave are followed
by ones that come. Logistic regression and k nearest neighbours, both written here, are trained on four fifths of the runs and
asked about the windows of the others, and, by the mean of its windows' scores, about each whole run. The area under the curve is
0.5 at chance, with a standard error that is given. The goal is 0.52. Windows are many, so their area is held to it as it stands;
whole runs are few (200: a standard error of 0.041), so theirs may lie two standard errors above it: beyond that, what windows
hide adds up. Writes build/reports/traffic.json. Exits 1 if clients on the clock are told apart by either, or if those without it
are not: then the classifier proves nothing. --quick: fewer runs, no report.
"""
import argparse
import json
import math
import os
import random
import statistics
import subprocess
import sys

GOAL, CONTRAST = 0.52, 0.7
SURE = 2  # standard errors above the goal that whole runs may lie by chance
TICK_MS = {"low": 60000, "normal": 10000, "fast": 500, "off": 500}
TICKS_PER_RUN, TICKS_PER_WINDOW = 300, 15
FOLDS = 5
NEIGHBOURS = 25


def make_runs(build, profile, runs, seed):
    """[(talks, [milliseconds, negative: to the client])]"""
    program = os.path.join(build, "tests", "soak", "traffic")
    output = subprocess.run([program, profile, str(runs), str(seed)], stdout=subprocess.PIPE, text=True, check=True).stdout
    lines = [[int(word) for word in line.split()] for line in output.splitlines()]
    return [(line[0], line[1:]) for line in lines]


def quantiles(values, scale):
    if not values:
        return [0.0] * 5
    ordered = sorted(values)
    return [math.log1p(ordered[min(len(ordered) - 1, int(q * len(ordered)))] / scale) for q in (0.05, 0.25, 0.5, 0.75, 0.95)]


def gaps(times):
    return [b - a for a, b in zip(times, times[1:])]


def bursts(times, within):
    """Numbers of cells that follow each other within so many milliseconds."""
    sizes, last = [], None
    for when in times:
        if last is not None and when - last <= within:
            sizes[-1] += 1
        else:
            sizes.append(1)
        last = when
    return sizes


def features(cells, start, span):
    out = [when - start for when in cells if when > 0]
    back = [-when - start for when in cells if when < 0]
    both = sorted(out + back)
    bins = [0] * 15
    for when in both:
        bins[min(14, int(15 * when / span))] += 1
    mean = statistics.fmean(bins)
    vector = [len(out), len(back), max(bins), min(bins), statistics.pvariance(bins) / (mean + 1)]
    vector.append(sum((a - mean) * (b - mean) for a, b in zip(bins, bins[1:])) / (mean + 1))
    for times in (out, back, both):
        vector += quantiles(gaps(times), 1.0)
    answers, position = [], 0
    for when in out:  # until the next cell comes
        while position < len(back) and back[position] < when:
            position += 1
        if position < len(back):
            answers.append(back[position] - when)
    vector += quantiles(answers, 1.0)
    for within in (5, 60, 400):
        sizes = bursts(both, within)
        vector += [len(sizes), max(sizes, default=0), statistics.pvariance(sizes) if sizes else 0.0]
    for low, high in ((1, 30), (30, 240), (240, 260), (260, 490), (490, 510), (510, 2000)):  # how many answers take so long
        vector.append(sum(low <= one < high for one in answers) / (len(answers) + 1))
    return vector


def windows(runs, tick_ms):
    """[(run, talks, vector)]"""
    span, found = TICKS_PER_WINDOW * tick_ms, []
    for number, (talks, cells) in enumerate(runs):
        for start in range(0, TICKS_PER_RUN * tick_ms, span):
            inside = [cell for cell in cells if start < abs(cell) <= start + span]
            found.append((number, talks, features(inside, start, span)))
    return found


def standardise(samples):
    columns = list(zip(*(vector for _, _, vector in samples)))
    middles = [statistics.fmean(column) for column in columns]
    widths = [statistics.pstdev(column) or 1.0 for column in columns]
    return [(run, talks, [max(-6.0, min(6.0, (x - m) / w)) for x, m, w in zip(vector, middles, widths)])
            for run, talks, vector in samples]


def logistic(train, test, rounds=40):
    """Scores of the test vectors: stochastic gradient, a little weight decay."""
    chooser = random.Random(1)
    weights = [0.0] * (len(train[0][2]) + 1)
    order = list(train)
    for number in range(rounds):
        chooser.shuffle(order)
        rate = 0.05 / (1 + number)
        for _, talks, vector in order:
            score = weights[-1] + sum(map(float.__mul__, weights, vector))
            error = talks - 1 / (1 + math.exp(-max(-30.0, min(30.0, score))))
            for i, x in enumerate(vector):
                weights[i] += rate * (error * x - 0.001 * weights[i])
            weights[-1] += rate * error
    return [weights[-1] + sum(map(float.__mul__, weights, vector)) for _, _, vector in test]


def nearest(train, test):
    """Share of the nearest neighbours that talk; a sample of each side, since all pairs are many."""
    chooser = random.Random(2)
    known = chooser.sample(train, min(len(train), 800))
    scores = []
    for _, _, vector in test:
        distances = sorted((math.dist(vector, other), talks) for _, talks, other in known)
        scores.append(sum(talks for _, talks in distances[:NEIGHBOURS]))
    return scores


def area(scored):
    """Area under the curve of [(score, talks)], ties half."""
    ordered = sorted(scored)
    positive = sum(talks for _, talks in ordered)
    negative = len(ordered) - positive
    rank_sum, i = 0.0, 0
    while i < len(ordered):
        j = i
        while j < len(ordered) and ordered[j][0] == ordered[i][0]:
            j += 1
        rank_sum += (i + j + 1) / 2 * sum(talks for _, talks in ordered[i:j])
        i = j
    return (rank_sum - positive * (positive + 1) / 2) / (positive * negative)


def error_of(count):
    """Standard error of the area at chance, with so many samples, half of each kind."""
    half = count / 2
    return math.sqrt((2 * half + 1) / (12 * half * half))


def judge(runs, profile):
    samples = standardise(windows(runs, TICK_MS[profile]))
    scored, by_run = {"logistic": [], "nearest": []}, {}
    for fold in range(FOLDS):
        train = [sample for sample in samples if sample[0] // 2 % FOLDS != fold]
        test = [sample for sample in samples if sample[0] // 2 % FOLDS == fold]
        for name, classify in (("logistic", logistic), ("nearest", nearest)):
            for (run, talks, _), score in zip(test, classify(train, test)):
                scored[name].append((score, talks))
                if name == "logistic":
                    by_run.setdefault((run, talks), []).append(score)
    whole = [(statistics.fmean(scores), talks) for (_, talks), scores in by_run.items()]
    areas = {name: area(one) for name, one in scored.items()}
    return {"auc": max(areas.values()), "auc_logistic": areas["logistic"], "auc_nearest": areas["nearest"], "auc_runs": area(whole),
            "windows": len(samples), "error": error_of(len(samples)), "error_runs": error_of(len(whole)),
            "cells_talking": statistics.fmean(len(cells) for talks, cells in runs if talks),
            "cells_silent": statistics.fmean(len(cells) for talks, cells in runs if not talks)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--contrast-runs", type=int, default=60)
    parser.add_argument("--profile", choices=("low", "normal", "fast"), default="fast")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--report", default="build/reports/traffic.json")
    options = parser.parse_args()
    if options.quick:
        options.runs, options.contrast_runs = 20, 20

    clocked = judge(make_runs(options.build, options.profile, options.runs, options.seed), options.profile)
    free = judge(make_runs(options.build, "off", options.contrast_runs, options.seed), "off")
    report = {"runs": options.runs, "contrast_runs": options.contrast_runs, "profile": options.profile, "seed": options.seed}
    report.update({name: round(value, 4) for name, value in clocked.items()})
    report["auc_runs_limit"] = round(GOAL + SURE * clocked["error_runs"], 4)
    report.update({name + "_without_clock": round(value, 4) for name, value in free.items()})
    for name, value in report.items():
        print(f"{name:30} {value}")
    if not options.quick:
        os.makedirs(os.path.dirname(options.report) or ".", exist_ok=True)
        with open(options.report, "w", encoding="ascii") as file:
            json.dump(report, file, indent=1)
            file.write("\n")
    goal = GOAL + (4 * report["error"] if options.quick else 0)  # a few runs say little: only what is plainly wrong counts
    missed = []
    if report["auc"] > goal:
        missed.append(f"auc: at most {goal:.2f}")
    if report["auc_runs"] > report["auc_runs_limit"]:
        missed.append(f"auc_runs: at most {GOAL} and {SURE} standard errors, {report['auc_runs_limit']}")
    if report["auc_without_clock"] < CONTRAST:
        missed.append(f"auc_without_clock: at least {CONTRAST}, else the classifier proves nothing")
    for one in missed:
        print("MISSED:", one)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
