// SPDX-License-Identifier: Apache-2.0
#include "dht/rocksdb_checked_tables.h"

#include <rocksdb/file_checksum.h>
#include <rocksdb/file_system.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/match.h"

namespace dht {
namespace {

using rocksdb::IOStatus;

constexpr size_t kFooterSize = 53, kHandlesEnd = 41, kTrailerSize = 5;
constexpr uint64_t kTableMagic = 0x88e241b785f4cff7;
constexpr uint8_t kCrc32c = 1, kXxh3 = 4;
constexpr uint8_t kNotCompressed = 0;
constexpr std::string_view kProperties = "rocksdb.properties";

struct Handle {
  uint64_t at = 0, size = 0;
};

// Reads past the end give zero and make ok() false for good.
class LittleReader {
 public:
  explicit LittleReader(std::string_view bytes) : rest_(bytes) {}

  std::string_view Take(uint64_t size) {
    ok_ &= size <= rest_.size();
    if (!ok_) return {};
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  uint64_t Fixed(size_t size) {
    uint64_t value = 0;
    int shift = 0;
    for (const char byte : Take(size)) value |= static_cast<uint64_t>(static_cast<uint8_t>(byte)) << (8 * shift++);
    return value;
  }
  uint64_t Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64 && ok_; shift += 7) {
      const uint64_t byte = Fixed(1);
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    ok_ = false;
    return 0;
  }
  Handle ReadHandle() {
    const uint64_t at = Varint();
    return {.at = at, .size = Varint()};
  }
  bool ok() const { return ok_; }
  bool empty() const { return rest_.empty(); }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

// As it stands behind a block.
uint32_t MaskedCrc(std::string_view bytes) {
  const auto generator = rocksdb::GetFileChecksumGenCrc32cFactory()->CreateFileChecksumGenerator({});
  generator->Update(bytes.data(), bytes.size());
  generator->Finalize();
  uint32_t crc = 0;
  for (const char byte : generator->GetChecksum()) crc = crc << 8 | static_cast<uint8_t>(byte);
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

class TableCheck {
 public:
  TableCheck(const rocksdb::FSRandomAccessFile& file, uint64_t size) : file_(file), size_(size) {}

  IOStatus Run() {
    std::string footer;
    if (const IOStatus status = Read(size_ < kFooterSize ? 0 : size_ - kFooterSize, kFooterSize, footer); !status.ok())
      return status;
    const auto checksum = static_cast<uint8_t>(footer[0]);
    LittleReader handles(std::string_view(footer).substr(1, kHandlesEnd - 1));
    const Handle metaindex = handles.ReadHandle(), index = handles.ReadHandle();
    LittleReader end(std::string_view(footer).substr(kHandlesEnd));
    const bool is_known = end.Fixed(4) == kTableFormat && end.Fixed(8) == kTableMagic;
    if (!is_known || !handles.ok() || !Fits(metaindex) || !Fits(index)) return Damaged("footer");
    if (checksum == kXxh3) return IOStatus::OK();
    if (checksum != kCrc32c) return Damaged("footer");
    std::string block;
    if (const IOStatus status = ReadBlock(index, block); !status.ok()) return status;
    return CheckProperties(metaindex);
  }

 private:
  static IOStatus Damaged(const char* part) { return IOStatus::Corruption("table is damaged", part); }
  bool Fits(const Handle& handle) const {
    return handle.at <= size_ && handle.size <= size_ && handle.at + handle.size + kTrailerSize <= size_ - kFooterSize;
  }
  IOStatus Read(uint64_t at, size_t size, std::string& bytes) const {
    bytes.resize(size);
    rocksdb::Slice read;
    const IOStatus status = file_.Read(at, size, rocksdb::IOOptions(), &read, bytes.data(), nullptr);
    if (!status.ok()) return status;
    if (read.size() != size) return Damaged("cut");
    if (read.data() != bytes.data()) bytes.assign(read.data(), size);
    return status;
  }
  IOStatus ReadBlock(const Handle& handle, std::string& block) const {
    if (!Fits(handle)) return Damaged("block");
    if (const IOStatus status = Read(handle.at, handle.size + kTrailerSize, block); !status.ok()) return status;
    const uint64_t crc = LittleReader(std::string_view(block).substr(handle.size + 1)).Fixed(4);
    block.resize(handle.size + 1);
    if (crc != MaskedCrc(block) || block.back() != kNotCompressed) return Damaged("block");
    block.pop_back();
    return IOStatus::OK();
  }
  IOStatus CheckProperties(const Handle& metaindex) const {
    std::string block;
    if (const IOStatus status = ReadBlock(metaindex, block); !status.ok()) return status;
    const std::optional<Handle> properties = FindProperties(block);
    return properties ? ReadBlock(*properties, block) : Damaged("metaindex");
  }
  static std::optional<Handle> FindProperties(std::string_view block) {
    if (block.size() < 4) return std::nullopt;
    const uint64_t restarts = LittleReader(block.substr(block.size() - 4)).Fixed(4);
    if (4 * (restarts + 1) > block.size()) return std::nullopt;
    LittleReader entries(block.substr(0, block.size() - 4 * (restarts + 1)));
    std::string key;
    while (entries.ok() && !entries.empty()) {
      const uint64_t shared = entries.Varint(), rest = entries.Varint(), value_size = entries.Varint();
      key.resize(std::min<uint64_t>(shared, key.size()));
      key += entries.Take(rest);
      LittleReader value(entries.Take(value_size));
      if (key == kProperties) return value.ReadHandle();
    }
    return std::nullopt;
  }

  const rocksdb::FSRandomAccessFile& file_;
  const uint64_t size_;
};

class CheckedTables : public rocksdb::FileSystemWrapper {
 public:
  using rocksdb::FileSystemWrapper::FileSystemWrapper;
  const char* Name() const override { return "bulbil.CheckedTables"; }

  IOStatus NewRandomAccessFile(const std::string& path, const rocksdb::FileOptions& options,
                               std::unique_ptr<rocksdb::FSRandomAccessFile>* result, rocksdb::IODebugContext* debug) override {
    std::unique_ptr<rocksdb::FSRandomAccessFile> file;
    IOStatus status = target()->NewRandomAccessFile(path, options, &file, debug);
    if (status.ok() && absl::EndsWith(path, ".sst")) {
      uint64_t size = 0;
      status = target()->GetFileSize(path, rocksdb::IOOptions(), &size, debug);
      if (status.ok()) status = TableCheck(*file, size).Run();
    }
    if (status.ok()) *result = std::move(file);
    return status;
  }
};

}  // namespace

std::shared_ptr<rocksdb::FileSystem> CheckTables(std::shared_ptr<rocksdb::FileSystem> under) {
  return std::make_shared<CheckedTables>(std::move(under));
}

}  // namespace dht
