// SPDX-License-Identifier: Apache-2.0
#include "dht/rocksdb_log_holes.h"

#include <rocksdb/env.h>

#include <algorithm>
#include <memory>
#include <string_view>

namespace dht {
namespace {

constexpr size_t kBlockSize = 32 * 1024;
constexpr size_t kHeaderSize = 7, kLengthAt = 4, kTypeAt = 6;

bool BlockHasHole(std::string_view block) {
  while (block.size() >= kHeaderSize) {
    const size_t length = static_cast<uint8_t>(block[kLengthAt]) | static_cast<uint8_t>(block[kLengthAt + 1]) << 8;
    if (length == 0 && block[kTypeAt] == 0) return true;
    if (length > block.size() - kHeaderSize) return false;  // torn, or damage that RocksDB sees
    block.remove_prefix(kHeaderSize + length);
  }
  return false;
}

}  // namespace

bool HasHole(rocksdb::Env& env, const std::string& path, uint64_t end) {
  std::unique_ptr<rocksdb::SequentialFile> file;
  if (!env.NewSequentialFile(path, &file, rocksdb::EnvOptions()).ok()) return false;
  std::string buffer(kBlockSize, '\0');
  rocksdb::Slice block;
  for (uint64_t at = 0; at < end; at += kBlockSize) {
    if (!file->Read(kBlockSize, &block, buffer.data()).ok() || block.empty()) return false;
    if (BlockHasHole({block.data(), std::min<uint64_t>(block.size(), end - at)})) return true;
  }
  return false;
}

}  // namespace dht
