#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the unit files of packaging/ start does start, with their environment, and ends in order when it is stopped.

usage: units.py PROGRAM SOURCE_FOLDER
"""
import glob
import os
import shlex
import subprocess
import sys
import tempfile

from harness import check, free_port, wait_until


def settings_of(path):
    """Lists of values by key, in their order."""
    found = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            key, is_setting, value = line.strip().partition("=")
            if is_setting and not line.startswith("#"):
                found.setdefault(key, []).append(value)
    return found


def start_and_stop(program, unit, folder):
    settings, port = settings_of(unit), str(free_port())
    state = os.path.join(folder, os.path.basename(unit))
    os.mkdir(state, 0o700)
    environment = {"PATH": os.environ["PATH"], "HOME": state, "XDG_RUNTIME_DIR": state}
    for assignment in settings.get("Environment", []):
        name, value = assignment.split("=", 1)
        environment[name] = value.replace("/var/lib/bulbil/%i", state)
    # What /etc/bulbil/PORT.env would hold.
    options = "--bootstrap none" + ("" if "@" in unit else " --port " + port)
    words = shlex.split(settings["ExecStart"][0].replace("%i", port).replace("$BULBIL_OPTIONS", options))
    check(words[0] == "bulbil", "starts", words)
    log = os.path.join(folder, os.path.basename(unit) + ".log")
    with open(log, "wb") as out:
        process = subprocess.Popen([program, *words[1:]], stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=environment)
    try:
        def ready():
            with open(log, encoding="utf-8") as file:
                text = file.read()
            check(process.poll() is None, unit, "ended:", text)
            return "ready: ring of 1" in text
        wait_until(unit + " to be ready", ready)
        process.terminate()
        check(process.wait(timeout=int(settings["TimeoutStopSec"][0])) == 0, unit, "exit", process.returncode)
    finally:
        process.kill()
        process.wait()


def main():
    units = sorted(glob.glob(os.path.join(sys.argv[2], "packaging", "*.service")))
    check(len(units) >= 3, "units:", units)
    with tempfile.TemporaryDirectory(prefix="bulbil-units-") as folder:
        for unit in units:
            start_and_stop(os.path.abspath(sys.argv[1]), unit, folder)
            print("ok", os.path.basename(unit))


if __name__ == "__main__":
    main()
