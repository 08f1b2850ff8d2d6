#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A lint that lets everything pass would pass its own test: each rule must catch its own example, and a clean file must pass."""
import check_sources

HEAD = "// SPDX-License-Identifier: Apache-2.0\n"

CAUGHT = [
    ("dht/a.cc", '#include "circuits/cell.h"', "may not include"),
    ("overlay/a.cc", '#include "cli/node.h"', "may not include"),
    ("chat/a.cc", '#include "tests/support/seeded_rng.h"', "nothing includes tests"),
    ("chat/a.cc", "#include <sodium.h>", "keys/"),
    ("circuits/a.cc", "#include <grpcpp/grpcpp.h>", "grpc_"),
    ("dht/store.cc", "#include <rocksdb/db.h>", "rocksdb_"),
    ("overlay/ring.cc", '#include "proto/overlay.pb.h"', "_wire"),
    ("overlay/ring.cc", "#include <thread>", "core may not include"),
    ("overlay/ring.cc", "#include <chrono>", "core may not include"),
    ("dht/replicator.cc", "  auto now = absl::Now();", "core may not call"),
    ("circuits/a.cc", "  absl::SleepFor(d);", "core may not call"),
    ("base/a.cc", "  strcpy(a, b);", "banned call"),
    ("base/a.cc", "  std::cout << 1;", "banned name"),
    ("base/a.cc", "  // TODO: later", "unfinished"),
    ("keys/a.cc", "  if (memcmp(a, b, 32) == 0) {}", "constant time"),
]
CLEAN = [
    ("overlay/grpc_loop.cc", "#include <grpcpp/grpcpp.h>"),
    ("overlay/grpc_loop.cc", "#include <thread>"),
    ("dht/rocksdb_record_store.cc", "#include <rocksdb/db.h>"),
    ("keys/a.cc", "#include <sodium.h>"),
    ("chat/a.cc", '#include "dht/record.h"'),
    ("base/a.cc", '  Log("system(x) is only a text");'),
]


def messages(path, line):
    return [message for _, message in check_sources.check_file(path, HEAD + line + "\n")]


for path, line, expected in CAUGHT:
    found = messages(path, line)
    assert any(expected in message for message in found), f"not caught in {path}: {line} ({found})"
for path, line in CLEAN:
    assert not messages(path, line), f"wrongly caught in {path}: {line} ({messages(path, line)})"
assert any("SPDX" in message for _, message in check_sources.check_file("base/a.cc", "int a;\n"))
assert any("pragma" in message for _, message in check_sources.check_file("base/a.h", HEAD))
assert check_sources.dead_headers({"base/a.h": "", "base/b.cc": ""}) == ["base/a.h"]
LOGS = {"cli/logging.cc": 'kComponents[] = {"ring", "rpc"};', "dht/a.cc": 'spdlog::info("ring: x");\n\nspdlog::warn(\n    "chord: y");'}
assert list(check_sources.unknown_components(LOGS)) == ["dht/a.cc:3: log component chord, not in cli/logging.cc"]
print(f"{len(CAUGHT)} violations caught, {len(CLEAN)} clean lines passed")
