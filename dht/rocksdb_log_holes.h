// SPDX-License-Identifier: Apache-2.0
// dht/rocksdb_log_holes.h — zeros where an entry of a log should begin. Only for rocksdb_*.cc.
//
// RocksDB's logs and manifests are blocks of 32 KiB, each a row of parts, checksum 4 ‖ length 2 ‖ type 1 ‖ content,
// little-endian, up to where none fits. A part of length and type 0 is to its reader the sign of a log that was laid out in
// advance: it goes on with the next block without a word, in every recovery mode. Nothing here writes such parts. So a page of
// zeros that begins where a part does takes what follows in its block with it; what else a damaged page does, checksums tell.
// Source: RocksDB's log format, without recycled logs.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

namespace rocksdb {
class Env;
}

namespace dht {

// Whether a part before `end` is such a sign. A file that cannot be read has none: RocksDB says so itself.
bool HasHole(rocksdb::Env& env, const std::string& path, uint64_t end = std::numeric_limits<uint64_t>::max());

}  // namespace dht
