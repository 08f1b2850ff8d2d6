#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The demo's story is true: bob read both texts, and on every circuit each hop is another process, the storing node too.

usage: demo.py PROGRAM
"""
import json
import subprocess
import sys

from harness import check

result = subprocess.run([sys.argv[1], "demo", "--json"], capture_output=True, text=True, timeout=300)
check(result.returncode == 0, "exit", result.returncode, result.stderr[-1000:])
story = json.loads(result.stdout)
check(story["read"] and story["killed"], "not the whole story:", story)
check(len(story["paths"]) >= 5, "too few circuits:", story["paths"])
for path in story["paths"]:
    hops = path.split()
    check(len(hops) == 4 and len(set(hops)) == 4 and "?" not in hops, "a path of", hops)
print(len(story["paths"]), "circuits, every hop of each on another node")
