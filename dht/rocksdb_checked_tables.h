// SPDX-License-Identifier: Apache-2.0
// dht/rocksdb_checked_tables.h — damaged table files are refused before RocksDB reads them. Only for rocksdb_*.cc.
//
// RocksDB reads a table's footer, which has no checksum, and parses its properties before it verifies theirs. With assertions on,
// as Debian builds it, some damage there aborts the process: in DB::Open, in a repair, in a compaction, in a read that opens the
// file again. So whatever it reads to open a table (*.sst) is verified here first: footer, metaindex, properties and index; what
// fails is Corruption, which the store knows to mend (rocksdb_open.h). All other blocks it verifies itself before use.
//
//   table      ... index block, properties block, ... metaindex block, footer 53
//   footer     checksum 1 ‖ metaindex at varint, size varint ‖ index at, size ‖ zeros up to 41 ‖ version 4 ‖ magic 8
//   block      content ‖ compression 1 ‖ masked CRC-32C of both 4
//   metaindex  entries (shared varint ‖ rest varint ‖ value varint ‖ rest of the key ‖ value: at varint, size varint)
//              ‖ restarts, 4 each ‖ their count 4; one of the keys is "rocksdb.properties"
// Numbers are little-endian. Source: RocksDB's block-based tables, format_version 5, which kTableFormat and the CRC-32C of
// rocksdb_open.cc pin down. Tables that other versions wrote, with checksums of RocksDB's default (XXH3), are left to RocksDB.
#pragma once

#include <memory>

namespace rocksdb {
class FileSystem;
}

namespace dht {

inline constexpr int kTableFormat = 5;  // RocksDB's format_version

std::shared_ptr<rocksdb::FileSystem> CheckTables(std::shared_ptr<rocksdb::FileSystem> under);

}  // namespace dht
