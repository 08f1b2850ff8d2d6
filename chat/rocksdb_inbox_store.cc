// SPDX-License-Identifier: Apache-2.0
#include "chat/rocksdb_inbox_store.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "rocksdb/db.h"
#include "rocksdb/options.h"
#include "rocksdb/write_batch.h"

namespace chat {

struct RocksDbInboxStore::Impl {
  std::string directory;
  std::unique_ptr<rocksdb::DB> db;
};

namespace {

rocksdb::Slice ToSlice(base::ByteView bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
base::ByteView ToView(const rocksdb::Slice& slice) { return base::AsBytes(std::string_view(slice.data(), slice.size())); }

// The text that RocksDB gives a failed lock, in this and in another process.
bool IsLocked(const rocksdb::Status& status) {
  const std::string text = status.ToString();
  return absl::StrContains(text, "lock hold by current process") || absl::StrContains(text, "While lock file");
}

absl::Status Translate(const rocksdb::Status& status, const std::string& directory) {
  if (status.ok()) return absl::OkStatus();
  const std::string where = absl::StrCat("inbox in ", directory);
  if (IsLocked(status)) return absl::UnavailableError(absl::StrCat(where, " is in use by another process"));
  if (status.IsCorruption()) return absl::DataLossError(absl::StrCat(where, " is damaged: ", status.ToString()));
  if (status.IsNotFound()) return absl::NotFoundError("no such entry");
  if (status.IsNoSpace()) return absl::ResourceExhaustedError(absl::StrCat(where, ": no space left"));
  return absl::PermissionDeniedError(absl::StrCat(where, ": ", status.ToString()));
}

absl::Status MakeDirectory(const std::string& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (!error) {
    std::filesystem::permissions(directory, std::filesystem::perms::owner_all, std::filesystem::perm_options::replace, error);
  }
  if (error) return absl::PermissionDeniedError(absl::StrCat("inbox in ", directory, ": ", error.message()));
  return absl::OkStatus();
}

// Entries begin with a letter (inbox.cc), so none is in the way of this one.
constexpr char kFormatKey[] =
    "\x01"
    "format";
constexpr char kFormatVersion[] = "1";

absl::Status CheckFormat(rocksdb::DB& db, const std::string& directory) {
  std::string version;
  const rocksdb::Status found = db.Get(rocksdb::ReadOptions(), kFormatKey, &version);
  if (found.ok() && version == kFormatVersion) return absl::OkStatus();
  if (found.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat("inbox in ", directory, " was written by a newer version of this program; use that one"));
  }
  if (!found.IsNotFound()) return Translate(found, directory);
  rocksdb::WriteOptions options;
  options.sync = true;
  return Translate(db.Put(options, kFormatKey, kFormatVersion), directory);
}

rocksdb::Options SmallStore() {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.compression = rocksdb::kNoCompression;  // sealed values do not shrink, and length before sealing must not show
  options.write_buffer_size = 4 << 20;            // an inbox takes a few kilobytes a day
  options.max_open_files = 64;
  options.keep_log_file_num = 2;
  options.info_log_level = rocksdb::ERROR_LEVEL;
  options.paranoid_checks = true;
  return options;
}

}  // namespace

RocksDbInboxStore::RocksDbInboxStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RocksDbInboxStore::~RocksDbInboxStore() = default;

absl::StatusOr<std::unique_ptr<RocksDbInboxStore>> RocksDbInboxStore::Open(const std::string& directory) {
  RETURN_IF_ERROR(MakeDirectory(directory));
  rocksdb::DB* db = nullptr;
  RETURN_IF_ERROR(Translate(rocksdb::DB::Open(SmallStore(), directory, &db), directory));
  auto impl = std::make_unique<Impl>();
  impl->directory = directory;
  impl->db.reset(db);
  RETURN_IF_ERROR(CheckFormat(*db, directory));
  return std::unique_ptr<RocksDbInboxStore>(new RocksDbInboxStore(std::move(impl)));
}

absl::Status RocksDbInboxStore::Apply(const std::vector<InboxWrite>& writes) {
  rocksdb::WriteBatch batch;
  for (const InboxWrite& write : writes) {
    const rocksdb::Status status =
        write.value ? batch.Put(ToSlice(write.key), ToSlice(*write.value)) : batch.Delete(ToSlice(write.key));
    RETURN_IF_ERROR(Translate(status, impl_->directory));
  }
  rocksdb::WriteOptions options;
  options.sync = true;
  return Translate(impl_->db->Write(options, &batch), impl_->directory);
}

// The flush makes the log that holds the values obsolete, which deletes it; the compaction rewrites every table of the range,
// also the lowest, without what was erased.
absl::Status RocksDbInboxStore::Scrub(uint8_t first, uint8_t last) {
  RETURN_IF_ERROR(Translate(impl_->db->Flush(rocksdb::FlushOptions()), impl_->directory));
  rocksdb::CompactRangeOptions options;
  options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
  const base::Bytes begin = {first}, end = {static_cast<uint8_t>(last + 1)};
  const rocksdb::Slice from = ToSlice(begin), to = ToSlice(end);
  return Translate(impl_->db->CompactRange(options, &from, &to), impl_->directory);
}

absl::Status RocksDbInboxStore::ForEach(uint8_t first, const std::function<void(base::ByteView, base::ByteView)>& visit) const {
  const base::Bytes prefix = {first};
  const std::unique_ptr<rocksdb::Iterator> it(impl_->db->NewIterator(rocksdb::ReadOptions()));
  for (it->Seek(ToSlice(prefix)); it->Valid() && it->key().starts_with(ToSlice(prefix)); it->Next()) {
    visit(ToView(it->key()), ToView(it->value()));
  }
  return Translate(it->status(), impl_->directory);
}

absl::StatusOr<base::Bytes> RocksDbInboxStore::Get(base::ByteView key) const {
  std::string value;
  RETURN_IF_ERROR(Translate(impl_->db->Get(rocksdb::ReadOptions(), ToSlice(key), &value), impl_->directory));
  return base::ToBytes(base::AsBytes(value));
}

}  // namespace chat
