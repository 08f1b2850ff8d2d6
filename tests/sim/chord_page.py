# SPDX-License-Identifier: Apache-2.0
"""docs/chord-figures.md and docs/figures/*.svg out of the rows that chord.py measured. Rows that are missing leave no trace."""
import os
import subprocess
import tempfile

# Stoica et al., "Chord", ToN 11(1), 2003. Path means: ideal fingers, the last step not counted, by a simulation of those rules.
PAPER_LOAD_P99 = {1: 4.61, 2: 3.32, 5: 2.32, 10: 1.88, 20: 1.59}  # closed form: chi-square(2v)/(2v)
PAPER_LOAD_P1 = {1: 0.010, 2: 0.074, 5: 0.256, 10: 0.413, 20: 0.554}
PAPER_PATH = {3: 1.71, 4: 1.85, 5: 2.26, 6: 2.87, 7: 3.36, 8: 3.88, 9: 4.38, 10: 4.85, 11: 5.38, 12: 5.86, 13: 6.36, 14: 6.87}
PAPER_FAILURES = {0: (3.84, 0.0), 0.1: (4.03, 0.60), 0.2: (4.22, 1.17), 0.3: (4.44, 2.02), 0.4: (4.69, 3.23), 0.5: (5.09, 5.10)}
PAPER_STABILIZING = {0.05: (3.90, 0.05, 0), 0.1: (3.83, 0.11, 0), 0.15: (3.84, 0.16, 2), 0.2: (3.81, 0.23, 5), 0.25: (3.83, 0.30, 6),
                     0.3: (3.91, 0.34, 8), 0.35: (3.94, 0.42, 16), 0.4: (4.06, 0.46, 15)}
# s: median (10th, 90th percentile) of iterative in space, in transit-stub, recursive in space, in transit-stub.
PAPER_STRETCH = {1: ("7.8 (4.4, 19.8)", "7.2 (4.4, 36.0)", "4.5 (2.5, 11.5)", "4.1 (2.7, 24.0)"),
                 2: ("7.2 (3.8, 18.0)", "7.1 (4.2, 33.6)", "3.5 (2.3, 8.7)", "3.6 (2.3, 17.0)"),
                 4: ("6.1 (3.1, 15.3)", "6.4 (3.2, 30.6)", "2.7 (1.6, 6.4)", "2.8 (1.8, 12.7)"),
                 8: ("4.7 (2.4, 11.8)", "4.9 (1.9, 19.0)", "2.1 (1.4, 4.7)", "2.0 (1.4, 8.9)"),
                 16: ("3.4 (1.9, 8.4)", "2.2 (1.7, 7.4)", "1.7 (1.2, 3.5)", "1.5 (1.3, 4.0)")}

HEAD = """# Ours beside the Chord paper's figures
Written by `./dev sim chord`; `build/reports/chord.json` has the metrics alone. Everything runs over the cores that ship (`Ring`, `FingerTable`,
`Lookup`) in virtual time, seed 1. A ring starts ideal: each core joins and fills its fingers by its own code while its questions are answered
as its true neighbours would (`tests/sim/chord_ideal.h`). The paper is Stoica et al., ToN 11(1), 2003; its tables II to IV are quoted from memory and second
sources, so read them as the order of size.
How many lookups stand behind a row is in its column; a run that was cut short leaves rows out.
"""


def table(title, counting, head, lines):
    if not lines:
        return ""
    rows = "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
    return f"\n## {title}\n{counting}\n\n| {' | '.join(head)} |\n|{'---|' * len(head)}\n{rows}\n"


def spread(row, name):
    return f"{row[name + '_mean']:.2f} ({row[name + '_p1']:.0f}, {row[name + '_p99']:.0f})"


def proof(rows):
    lines = [(f"scripts Z1 to Z7, S1 to S4: the reference ring breaks, ours does not", f"{row['scripts']} scripts", row["failed"])
             for row in rows.get("scripts", [])]
    lines += [(f"every interleaving, {row['name']}", row["searched"], row["failed"]) for row in rows.get("interleavings", [])]
    lines += [("seeded errors of the core that no test notices", f"{row['mutants']} mutants", row["mutants"] - row["mutants_caught"])
              for row in rows.get("mutants", [])]
    for row in rows.get("churn", []):
        for name, head in (("ring_1000", "churn at 1,000 nodes, one event every 20 ms"), ("hours_64", "churn at 64 nodes, one event a second, an hour a seed")):
            lines.append((head, f"{row[name + '_churn_events']:,} events, {row[name + '_runs']:,} seeds, {row[name + '_changes_checked']:,} changes checked, "
                          f"{row[name + '_cpu_seconds'] / 60:.0f} core minutes", row[name + "_violations"]))
    return table("The invariant", "Zave's I0 to I2 after every change of any member's pointers (and C1 to C7 over the whole ring now and then); what is searched and what broke.",
                 ["what", "how much", "broken"], lines)


def load(rows):
    return table("Load (V-B)",
                 "10,000 nodes, 10^6 keys; v virtual nodes at the points that production computes; keys of a node over the mean. The paper's rows here "
                 "are the closed form that its figure follows.\n\n![load](figures/load.svg)",
                 ["v", "1st percentile", "closed form", "99th percentile", "closed form", "most", "empty nodes"],
                 [(row["v"], f"{row['p1']:.2f}", PAPER_LOAD_P1[row["v"]], f"{row['p99']:.2f}", PAPER_LOAD_P99[row["v"]], f"{row['max']:.1f}",
                   f"{100 * row['empty']:.1f} %") for row in rows.get("load", [])])


def path(rows):
    whole = {row["exponent"]: row for row in rows.get("path", [])}
    lines = []
    for row in rows.get("plain", []):
        k, ours = row["exponent"], whole.get(row["exponent"])
        lines.append((f"2^{k}", spread(row, "hops"), PAPER_PATH.get(k, "-"), spread(ours, "hops") if ours else "-",
                      f"{100 * ours['hops_mean'] / row['hops_mean']:.0f} %" if ours else "-",
                      f"{ours['learned_peers']}, {ours['learned_bytes']:,}" if ours else "-", f"{row['lookups']:,} / {ours['lookups'] if ours else 0:,}",
                      row["wrong"] + (ours["wrong"] if ours else 0)))
    return table("Path length (V-C)",
                 "Random askers and points. Hops are nodes that answered; the asker and the step to the owner are not counted (with it: "
                 "1.00 more). Mean (1st, 99th percentile). *Plain*: fingers and first successor alone, which is what the paper's rule reads. *Whole*: what the program does, "
                 "r = 8, sixteen known successors, and peers learned from the answers to its own upkeep (`overlay/learned_peers.h`); *share* is its mean over plain's. *Learned* is what "
                 "these peers take in memory: how many, and bytes with the longest addresses.\n\n![path length](figures/path.svg)\n![hops at 2^12](figures/hops.svg)",
                 ["N", "plain", "reference", "whole", "share", "learned", "lookups", "wrong owners"], lines)


def rest(rows):
    return table("At rest",
                 "What a node asks of others while nothing happens, half an hour after the start: calls of all kinds a second, and bytes of questions and answers (protobuf, without TLS, "
                 "HTTP/2 and gRPC). The difference is what learned peers cost.",
                 ["nodes", "learned peers", "calls a second", "bytes a second"],
                 [(f"{row['nodes']:,}", "yes" if row["learns"] else "no", f"{row['calls_per_node_s']:.2f}", f"{row['bytes_per_node_s']:,.0f}")
                  for row in rows.get("rest", [])])


def stretch(rows):
    def cell(row, kind):
        return f"{row[kind + '_median']:.1f} ({row[kind + '_p10']:.1f}, {row[kind + '_p90']:.1f})"

    lines = []
    found = rows.get("stretch", []) + rows.get("ownstretch", [])
    for s, nodes in sorted({(row["s"], row["nodes"]) for row in found}, key=lambda pair: pair[0] or 99):
        space, stub = ([row for row in found if row["s"] == s and row["model"] == model][0] for model in ("space", "transit-stub"))
        cells = [cell(row, kind) for kind in ("iterative", "recursive") for row in (space, stub)]
        if s:
            cells = [f"{ours}; paper {theirs}" for ours, theirs in zip(cells, PAPER_STRETCH[s])]
        lines.append((s or "core", f"{nodes:,}", f"{space['hops_mean']:.2f}", *cells))
    return table("Stretch (V-F, table IV)",
                 "Time until the asker knows the owner over that of a message to the owner and back (so, iterative and without proximity, about the number of hops): median (10th, 90th percentile) of 10,000. A finger keeps the first s nodes of its "
                 "interval and uses the nearest: that is a model of the paper's rule (`tests/sim/chord_stretch.h`), not our code. *Core*: the nodes that our core asked, which knows more "
                 "peers and here chooses by position alone; it is iterative, and recursive is what the same path would cost. Delays: `tests/sim/delay_models.h`; our transit-stub network is "
                 "another one than the paper's.",
                 ["s", "nodes", "hops", "iterative, space", "iterative, transit-stub", "recursive, space", "recursive, transit-stub"], lines)


def nearness(rows):
    lines = []
    found = rows.get("nearness", [])
    for minutes in sorted({row["minutes"] for row in found}):
        space, stub = ([row for row in found if row["minutes"] == minutes and row["model"] == model][0] for model in ("space", "transit-stub"))
        cells = [f"{row['stretch_median']:.2f} ({row['stretch_p10']:.2f}, {row['stretch_p90']:.2f})" for row in (space, stub)]
        lines.append((f"{minutes:g}", f"{space['nodes']:,}", f"{space['hops_mean']:.2f}", f"{stub['hops_mean']:.2f}", *cells,
                      f"{space['lookups'] - space['right'] + stub['lookups'] - stub['right']} of {space['lookups'] + stub['lookups']}"))
    return table("Nearness",
                 "The same measure, iterative, while the whole core runs at rest over these delays: of the peers that answer its upkeep it keeps the nearest of each slot, so the time a "
                 "lookup takes falls while its hops do not. At 0 minutes every slot has one random peer. It asks nobody for this alone; lookups that keep the fingers take turns with "
                 "lookups of random points. One of the hops, to the predecessor of the point, is nobody's choice.",
                 ["minutes", "nodes", "hops, space", "hops, transit-stub", "time, space", "time, transit-stub", "not right"], lines)


def failures(rows):
    lines = []
    for row in rows.get("failures", []):
        hops, timeouts = PAPER_FAILURES[row["dead"]]
        lines.append((row["r"], row["dead"], spread(row, "hops"), hops, spread(row, "timeouts"), timeouts, f"{row['with_owner_mean']:.2f}",
                      row["failed"]))
    return table("Simultaneous failures (V-D, table II)",
                 "N = 1,000; that share dies at once and nothing is repaired: a lookup runs on a copy of its asker that is thrown away. One try, 10,000 lookups over 10 "
                 "rings. Timeouts are dead nodes asked on the way; the column after adds dead ones in front of the first live owner in the answer. Failed: that owner is not "
                 "the right one, or there is none. The paper has r = 20 and no failures.\n\n![timeouts](figures/failures.svg)",
                 ["r", "dead", "hops", "paper", "timeouts", "paper", "with the owner's", "failed"], lines)


def per_10k(row):
    return 10000 * (row["wrong"] + row["failed"]) / row["lookups"]


def stabilizing(rows):
    lines = []
    for row in rows.get("stabilizing", []):
        hops, timeouts, failed = PAPER_STABILIZING[row["rate"]]
        lines.append((row["rate"], spread(row, "hops"), hops, spread(row, "timeouts"), timeouts, f"{per_10k(row):.1f}", failed, row["lookups"]))
    return table("Lookups during stabilisation (V-E, table III)",
                 "N = 1,000, r = 20, a round, a finger and a sign of life every 25.5 to 34.5 s, calls time out after 0.5 s; joins and voluntary leaves both Poisson at that rate a second, one "
                 "lookup a second, after ten minutes. Right: the first live node in the answer is the owner, when the lookup started or ended; a joiner counts from the moment it is a "
                 "member. The core itself tries a caller's lookup again, up to six times, if nobody is left to ask; that is part of it here. A leaver tells its "
                 "neighbours and a new predecessor makes the old one look, so most of the paper's failures have no time to happen.\n\n![failures](figures/stabilizing.svg)",
                 ["rate", "hops", "paper", "timeouts", "paper", "failures per 10,000", "paper", "lookups"], lines)


def halflife(rows):
    return table("Churn by half-life",
                 "N = 1,000 with the parameters of `local` (r = 8); joins and silent crashes Poisson, so that half of the nodes are replaced in that time; 20 lookups a second. "
                 "Right as above; *at once*: also the owner named first lived. The paper has no such figure.",
                 ["half-life, minutes", "right", "right at once", "nobody found", "hops", "timeouts", "lookups"],
                 [(row["minutes"], f"{100 * row['right'] / row['lookups']:.2f} %", f"{100 * row['right_at_once'] / row['lookups']:.2f} %", row["failed"],
                   spread(row, "hops"), spread(row, "timeouts"), row["lookups"]) for row in rows.get("halflife", [])])


def largest(rows):
    return table("The largest ring",
                 "One thread; half-life of an hour, 1,000 lookups a second; resident memory of the whole simulation, messages under way included, over the nodes. An event is "
                 "a message, an answer, a timer.",
                 ["nodes", "bytes a node", "events a second", "virtual s", "wall s", "building s", "right successors", "right lookups"],
                 [(f"{row['nodes']:,}", f"{row['bytes_per_node']:,}", f"{row['events_per_s']:,.0f}", row["virtual_s"], f"{row['ran_s']:.0f}", f"{row['built_s']:.0f}",
                   f"{row['right_successors']:,} of {row['members']:,}", f"{row['right']:,} of {row['lookups']:,}") for row in rows.get("largest", [])])


# --- Pictures ---

def draw(folder, name, settings, series):
    """series: (title, style, [(x, y...)]). Empty ones are left out; nothing is drawn if all are."""
    series = [entry for entry in series if entry[2]]
    if not series:
        return
    blocks, plots = [], []
    for number, (title, style, points) in enumerate(series):
        blocks.append(f"$d{number} << EOD\n" + "\n".join(" ".join(str(value) for value in point) for point in points) + "\nEOD\n")
        plots.append(f'$d{number} title "{title}" with {style}')
    script = (f'set terminal svg size 640,400 font "sans,12" background "white"\nset output "{os.path.join(folder, name)}.svg"\n'
              f"set grid\nset key top left\n{settings}\n{''.join(blocks)}plot {', '.join(plots)}\n")
    with tempfile.NamedTemporaryFile("w", suffix=".gp") as file:
        file.write(script)
        file.flush()
        subprocess.run(["gnuplot", file.name], check=True)


def pictures(folder, rows):
    os.makedirs(folder, exist_ok=True)
    loads, plain, whole = rows.get("load", []), rows.get("plain", []), rows.get("path", [])
    draw(folder, "load", 'set xlabel "virtual nodes per node"\nset ylabel "keys per node / mean"\nset key top right', [
        ("99th percentile", "linespoints", [(row["v"], row["p99"]) for row in loads]),
        ("closed form", "points", list(PAPER_LOAD_P99.items()) if loads else []),
        ("1st percentile", "linespoints", [(row["v"], row["p1"]) for row in loads])])
    draw(folder, "path", 'set xlabel "log2 N"\nset ylabel "hops"', [
        ("plain: mean, 1st and 99th percentile", "yerrorlines", [(r["exponent"], r["hops_mean"], r["hops_p1"], r["hops_p99"]) for r in plain]),
        ("reference, mean", "points pt 6 ps 1.5", list(PAPER_PATH.items()) if plain else []),
        ("whole", "yerrorlines", [(r["exponent"] + 0.1, r["hops_mean"], r["hops_p1"], r["hops_p99"]) for r in whole])])
    draw(folder, "hops", 'set xlabel "hops at N = 4,096"\nset ylabel "share of lookups"\nset key top right', [
        (kind, "linespoints", [point for row in found if row["exponent"] == 12 for point in enumerate(row["pdf"])])
        for kind, found in (("plain", plain), ("whole", whole))])
    draw(folder, "failures", 'set xlabel "share of nodes dead"\nset ylabel "timeouts per lookup"', [
        *[(f"r = {r}", "linespoints", [(row["dead"], row["timeouts_mean"]) for row in rows.get("failures", []) if row["r"] == r]) for r in (20, 8)],
        ("paper, r = 20", "points pt 6 ps 1.5", [(dead, pair[1]) for dead, pair in PAPER_FAILURES.items()] if rows.get("failures") else [])])
    draw(folder, "stabilizing", 'set xlabel "joins and leaves per second, each"\nset ylabel "failures per 10,000 lookups"\nset yrange [-0.5:]', [
        ("ours", "linespoints", [(row["rate"], per_10k(row)) for row in rows.get("stabilizing", [])]),
        ("paper", "linespoints", [(rate, found[2]) for rate, found in PAPER_STABILIZING.items()] if rows.get("stabilizing") else [])])


def write(docs, rows):
    pictures(os.path.join(docs, "figures"), rows)
    parts = [HEAD] + [part(rows) for part in (proof, load, path, stretch, nearness, failures, stabilizing, halflife, rest, largest)]
    with open(os.path.join(docs, "chord-figures.md"), "w", encoding="utf-8") as file:
        file.write("".join(parts))
