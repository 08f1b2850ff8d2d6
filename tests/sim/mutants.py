#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# targets: sim_test
"""Seeded errors in the ring core, each of which the simulation tests have to catch.

usage: mutants.py BUILD_FOLDER [--quick] [--only NAME] [--jobs N] [--report FILE]

Each mutant is one textual change in one source file. The changed copy is compiled outside the tree, put into a copy of its
room's library, linked with the objects of sim_test as they are built, and run against the tests below until one fails. The
unchanged program has to pass all of them first. Exits 1 if a mutant lives, or if a change no longer finds its place in the source.
"""
import argparse
import concurrent.futures
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

# name, file, what stands there (once), what it becomes
MUTANTS = [
    # adopting without an answer
    ("adopts_the_successors_predecessor_unasked", "overlay/ring.cc",
     "if (ask) return Ask(Step::kAskPredecessor, *between, StateRequest{});",
     "if (ask) list_.Assign(self_, *between, list_.peers(), false, options_.successor_count);"),
    ("adopts_a_dead_candidate", "overlay/ring.cc",
     "    AddSuspect(candidate.point);\n  } else if",
     "    list_.Assign(self_, candidate, list_.peers(), false, options_.successor_count);\n  } else if"),
    ("takes_a_non_member_for_alive", "overlay/ring.cc",
     "  if (state == nullptr || !state->member) {\n    AddSuspect(successor.point);",
     "  if (state == nullptr) {\n    AddSuspect(successor.point);"),
    ("adopts_what_a_reunion_heard_of", "overlay/ring_routing.cc",
     "found_between_ = owner;",
     "list_.Assign(self_, owner, {}, false, options_.successor_count);"),
    # the list
    ("cuts_the_list", "overlay/ring.cc",
     "list_.Assign(self_, successor, rest, state.open, options_.successor_count);",
     "list_.Assign(self_, successor, rest, state.open, options_.successor_count - 1);"),
    ("lets_the_list_wrap_around", "overlay/successor_list.cc",
     "if (processes == successor_count || !InOpen(peer.point, last, self.point)) return false;",
     "if (processes == successor_count || peer.point == last) return false;"),
    ("forgets_that_the_list_is_open", "overlay/successor_list.cc",
     "if (IsFull(self, successor_count)) open_ = true;", ""),
    ("drops_two_for_one_dead_head", "overlay/ring.cc",
     "  list_.DropHead(self_, options_.successor_count);\n",
     "  list_.DropHead(self_, options_.successor_count);\n"
     "  if (list_.peers().size() > 1) list_.DropHead(self_, options_.successor_count);\n"),
    ("never_drops_a_dead_head", "overlay/ring.cc",
     "    DropHead();\n    if (IsMember()) AskSuccessor();",
     "    if (IsMember()) EndRound();"),
    ("is_alone_when_all_are_dead", "overlay/ring.cc",
     "if (IsCutOff()) Detach();",
     "if (list_.empty()) predecessor_.reset();"),
    # intervals
    ("looks_into_the_wrong_interval", "overlay/ring.cc",
     "between && InOpen(between->point, self_.point, successor.point) &&",
     "between && InOpen(between->point, successor.point, self_.point) &&"),
    ("rectifies_on_the_wrong_side", "overlay/ring.cc",
     "InOpen(candidate, predecessor_->point, self_.point)",
     "InOpen(candidate, self_.point, predecessor_->point)"),
    ("hops_the_wrong_way", "overlay/lookup.cc",
     "if (InOpen(peer.point, from.point, point_)) Add(peer);",
     "if (InOpen(peer.point, point_, from.point)) Add(peer);"),
    # the lane
    ("answers_while_pending", "overlay/ring.cc",
     "    state.pending = true;\n    return state;\n", "    (void)state.pending;\n"),
    ("takes_pending_for_dead", "overlay/ring.cc",
     "if (now_ - pending_since_ > 2 * SuspicionSpan()) return false;",
     "if (now_ >= pending_since_) return false;"),
    # rectify
    ("rectifies_without_a_sign_of_life", "overlay/ring.cc",
     "if (!predecessor_ || candidate == predecessor_->point ||", "if (candidate != self_.point ||"),
    ("keeps_a_dead_predecessor", "overlay/ring.cc",
     "if (health == nullptr || !health->serving) AdoptPredecessor(rectifying_);", ""),
    ("tells_nobody", "overlay/ring.cc",
     "  Send(successor, RectifyRequest{self_, predecessors_, storing_predecessors_, /*seeking=*/false}, Purpose::kNotice);\n",
     "  (void)successor;\n"),
    # joining
    ("joins_where_there_is_no_place", "overlay/ring_join.cc",
     "if (!CanTakePlace(predecessor, *state)) {", "if (false) {"),
    ("joins_on_a_pending_answer", "overlay/ring_join.cc",
     "if (state != nullptr && state->pending) return SeekLater(/*soon=*/true);", ""),
    ("joins_with_its_head_alone", "overlay/ring_join.cc",
     "list_.Assign(self_, near.front(), {near.begin() + 1, near.end()}, state.open, options_.successor_count);",
     "list_.Assign(self_, near.front(), {}, state.open, options_.successor_count);"),
    ("never_looks_for_other_rings", "overlay/ring_routing.cc",
     "if (others.empty()) return;", "if (others.size() < 1000) return;"),
]
QUICK = ["adopts_a_dead_candidate", "lets_the_list_wrap_around", "is_alone_when_all_are_dead", "answers_while_pending",
         "joins_where_there_is_no_place"]

# Run in this order until one fails; cheap ones first.
STAGES = ["Script.*:All/SeedScripts.*:RingScript.*",
          "*EveryInterleaving*r2_3and1join:*EveryInterleaving*r2_4less1:*EveryInterleaving*bootstrap*",
          "*RingChurn*/0:*RingChurn*/1:*RingChurn*/2:*RingAfterKills*4less1",
          "*RingSeeds*/0:*RingSeeds*/1:*RingSeeds*/2:*EveryInterleaving*"]
STAGE_SECONDS = 300  # a mutant that takes longer hangs, and is caught


def compile_command(build, source, changed, out):
    with open(os.path.join(build, "compile_commands.json")) as file:
        entry = next(e for e in json.load(file) if e["file"].endswith("/" + source))
    words = shlex.split(entry["command"])
    words = [{"-O2": "-O1", "-g1": "-g0"}.get(w, w) for w in words]
    words[words.index("-o") + 1] = out
    words[words.index("-c") + 1] = changed
    return words


def link_command(build, archive, out):
    """That of sim_test, with this archive in the place of the one of the same name."""
    lines = subprocess.run(["ninja", "-C", build, "-t", "commands", "sim_test"], check=True, capture_output=True, text=True).stdout
    line = next(text for text in reversed(lines.splitlines()) if " -o tests/sim/sim_test " in text)
    words = [w for w in shlex.split(line.split("&&")[1]) if w != "&&"]
    words[words.index("-o") + 1] = out
    return [archive if os.path.basename(w) == os.path.basename(archive) else w for w in words]


def first_failure(program):
    """The stage and test that failed, or None."""
    environment = dict(os.environ, BULBIL_SIM_SEEDS="3", BULBIL_SIM_ROUNDS="0")
    for number, stage in enumerate(STAGES, 1):
        try:
            run = subprocess.run([program, "--gtest_fail_fast", "--gtest_filter=" + stage], env=environment, timeout=STAGE_SECONDS,
                                 capture_output=True, text=True, errors="replace")
        except subprocess.TimeoutExpired:
            return number, "does not end"
        if run.returncode != 0:
            lines = run.stdout.splitlines()
            failed = [line.split("] ")[1] for line in lines if line.startswith("[  FAILED  ] ")]
            running = [line.split("] ")[1] for line in lines if line.startswith("[ RUN ")]
            return number, (failed[:1] or running[-1:] or ["dies at the start"])[0]  # one that dies has no verdict
    return None


def try_mutant(build, folder, mutant):
    name, source, old, new = mutant
    with open(source) as file:
        text = file.read()
    if text.count(old) != 1:
        return name, False, f"the place is there {text.count(old)} times"
    folder = os.path.join(folder, name)
    os.mkdir(folder)
    member = os.path.join(folder, os.path.basename(source) + ".o")  # as it is called in the library of its room
    library = shutil.copy(os.path.join(build, f"libbulbil_{os.path.dirname(source)}.a"), folder)
    changed = os.path.join(folder, name + ".cc")
    with open(changed, "w") as file:
        file.write(text.replace(old, new))
    program = os.path.join(folder, name)
    for command in (compile_command(build, source, changed, member), ["ar", "r", library, member],
                    link_command(build, library, program)):
        done = subprocess.run(command, cwd=build, capture_output=True, text=True)
        if done.returncode != 0:
            return name, False, "does not build: " + done.stderr[:2000]
    caught = first_failure(program)
    shutil.rmtree(folder)
    return name, caught is not None, f"stage {caught[0]}, {caught[1]}" if caught else "lives"


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("build")
    arguments.add_argument("--quick", action="store_true")
    arguments.add_argument("--only")
    arguments.add_argument("--jobs", type=int, default=os.cpu_count())
    arguments.add_argument("--report", default="build/reports/mutants.json")
    options = arguments.parse_args()
    build = os.path.abspath(options.build)
    started = time.monotonic()
    wanted = [m for m in MUTANTS if (not options.quick or m[0] in QUICK) and options.only in (None, m[0])]
    failure = first_failure(os.path.join(build, "tests/sim/sim_test"))
    if failure:
        sys.exit(f"the unchanged core fails: {failure[1]}")
    caught = 0
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for name, is_caught, how in pool.map(lambda mutant: try_mutant(build, folder, mutant), wanted):
            caught += is_caught
            print(f"{'caught' if is_caught else 'ALIVE '}  {name}: {how}", flush=True)
    print(f"{caught} of {len(wanted)} mutants caught in {time.monotonic() - started:.0f} s")
    if options.report:
        os.makedirs(os.path.dirname(options.report), exist_ok=True)
        with open(options.report, "w") as file:
            json.dump({"mutants": len(wanted), "mutants_caught": caught, "seconds": round(time.monotonic() - started)}, file)
    sys.exit(0 if caught == len(wanted) else 1)


if __name__ == "__main__":
    main()
