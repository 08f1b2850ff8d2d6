#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The rules of the tree, as a test: who may include whom, what a core may not touch, what no source may contain.

usage: check_sources.py ROOT        prints one line a violation, exits 1 if there is any
"""
import os
import re
import sys

# A room may include itself and what stands here.
MAY_INCLUDE = {
    "base": set(),
    "keys": {"base"},
    "overlay": {"base", "keys"},
    "dht": {"base", "keys", "overlay"},
    "circuits": {"base", "keys", "overlay"},
    "chat": {"base", "keys", "overlay", "dht", "circuits"},
    "cli": {"base", "keys", "overlay", "dht", "circuits", "chat"},
}
ROOMS = list(MAY_INCLUDE)

# An outside library belongs to the files that wrap it.
ONLY_IN = [
    (r"sodium(/|\.h)", r"keys/\w+\.cc"),
    (r"openssl/", r"(keys/\w+\.cc|overlay/grpc_tls\.cc)"),  # grpc_tls: TLS 1.3 only, which gRPC 1.51 cannot say
    (r"grpc(pp)?/", r"overlay/grpc_\w+\.(h|cc)"),
    (r"(proto/\w+\.pb\.h|google/protobuf/)",
     r"(\w+/\w+_wire\.cc|overlay/grpc_\w+\.cc|overlay/introduce\.cc|cli/\w+\.(cc|h))"),
    (r"rocksdb/", r"\w+/rocksdb_\w+\.cc"),
    (r"toml\+\+/", r"cli/config\.cc"),
    (r"CLI/", r"cli/\w+\.(cc|h)"),
    (r"qrcodegen", r"cli/\w+\.cc"),
    (r"(ncursesw?/)?n?curses\.h", r"cli/curses_screen\.cc"),
    (r"spdlog/", r"(\w+/\w+_driver\.cc|overlay/grpc_\w+\.cc|cli/\w+\.cc|chat/\w+_endpoint\.cc)"),
]

# Shells and roots: thin wrappers around something outside. All else in the protocol rooms is a core.
SHELL = re.compile(r"(grpc_\w+|worker_pool|rocksdb_\w+|\w+_driver|\w+_wire|\w+_endpoint|introduce|chat_client)\.(h|cc)$")
CORE_ROOMS = {"overlay", "dht", "circuits", "chat"}
CORE_MAY_NOT_INCLUDE = re.compile(
    r"<(thread|mutex|condition_variable|future|chrono|fstream|iostream|filesystem|unistd\.h|ctime|random|sys/\w+\.h|netinet/\w+\.h)>"
    r'|"base/event_loop\.h"|"absl/synchronization')
CORE_MAY_NOT_CALL = re.compile(r"absl::Now\(|\bsleep\(|\busleep\(|absl::SleepFor|\bgetenv\(|\btime\(nullptr\)|std::random_device")

BANNED = [
    (re.compile(r"\b(strcpy|strcat|sprintf|gets|system|popen|tmpnam|mktemp|rand|srand|strtok)\s*\("), "banned call"),
    (re.compile(r"\bstd::(format|cout|cerr|mt19937\w*)\b"), "banned name"),
    (re.compile(r"\b(TODO|FIXME|XXX)\b"), "unfinished"),
    (re.compile(r"\bmemcmp\s*\("), "compare secrets in constant time, and other bytes with =="),
    (re.compile(r"\bassert\s*\("), "CHECK is always compiled in; assert is not"),
    (re.compile(r"\busing namespace\b"), "banned"),
]
LENGTH_MAX = 600  # lines; a longer source is more than one noun


def strip_comments(line):
    return re.sub(r'"(?:[^"\\]|\\.)*"', '""', line).split("//", 1)[0]


def sources(root):
    for top in ROOMS + ["tests"]:
        for folder, _, files in os.walk(os.path.join(root, top)):
            for name in sorted(files):
                if name.endswith((".h", ".cc", ".py", ".proto")):
                    yield os.path.relpath(os.path.join(folder, name), root)


def check_line(path, room, core, line):
    """Violations of one line of a C++ source outside tests."""
    include = re.match(r'\s*#include\s+([<"])([^">]+)[">]', line)
    if include:
        target = include.group(2)
        first = target.split("/")[0]
        if first in MAY_INCLUDE and first != room and first not in MAY_INCLUDE[room]:
            yield f"{room} may not include {target}"
        if first == "tests":
            yield "nothing includes tests"
        for pattern, where in ONLY_IN:
            if re.match(pattern, target) and not re.fullmatch(where, path):
                yield f"{target} is for {where} only"
        if core and CORE_MAY_NOT_INCLUDE.search(line):
            yield f"a core may not include {target}"
        return
    code = strip_comments(line)
    for pattern, why in BANNED:
        if pattern.search(line if why == "unfinished" else code):
            yield f"{why}: {pattern.search(line if why == 'unfinished' else code).group(0)}"
    if core and CORE_MAY_NOT_CALL.search(code):
        yield f"a core may not call {CORE_MAY_NOT_CALL.search(code).group(0)}"


def check_file(path, text):
    """All violations of one file, as (line, message)."""
    lines = text.splitlines()
    if "SPDX-License-Identifier: Apache-2.0" not in "\n".join(lines[:3]):
        yield 1, "no SPDX line"
    room = path.split("/")[0]
    if room not in MAY_INCLUDE or not path.endswith((".h", ".cc")):
        return
    if path.endswith(".h") and "#pragma once" not in text:
        yield 1, "no #pragma once"
    if len(lines) > LENGTH_MAX:
        yield len(lines), f"longer than {LENGTH_MAX} lines"
    core = room in CORE_ROOMS and not SHELL.search(path)
    for number, line in enumerate(lines, 1):
        for message in check_line(path, room, core, line):
            yield number, message


def dead_headers(texts):
    """Headers of rooms that nobody includes."""
    included = set(re.findall(r'#include "([^"]+)"', "\n".join(texts.values())))
    return [path for path in texts if path.endswith(".h") and path.split("/")[0] in MAY_INCLUDE and path not in included]


def unknown_components(texts):
    """Log lines that begin with a word BULBIL_LOG does not know."""
    listed = re.search(r"kComponents\[\] = \{([^}]*)\}", texts.get("cli/logging.cc", ""))
    known = re.findall(r'"(\w+)"', listed.group(1)) if listed else []
    for path, text in texts.items():
        if path.split("/")[0] not in MAY_INCLUDE:
            continue
        for call in re.finditer(r'spdlog::(?:trace|debug|info|warn|error)\(\s*"(?:(\w+): )?', text):
            if call.group(1) not in known:
                yield f"{path}:{text.count(chr(10), 0, call.start()) + 1}: log component {call.group(1)}, not in cli/logging.cc"


def check(root):
    texts = {}
    for path in sources(root):
        with open(os.path.join(root, path), encoding="utf-8") as file:
            texts[path] = file.read()
    found = [f"{path}:{number}: {message}" for path, text in texts.items() for number, message in check_file(path, text)]
    return found + [f"{path}:1: nobody includes this header" for path in dead_headers(texts)] + list(unknown_components(texts))


def main():
    found = check(sys.argv[1])
    for line in found:
        print(line)
    print(f"{len(found)} violations")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
