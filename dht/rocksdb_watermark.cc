// SPDX-License-Identifier: Apache-2.0
#include "dht/rocksdb_watermark.h"

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/byte_reader.h"
#include "base/byte_writer.h"
#include "base/status_macros.h"
#include "dht/rocksdb_log_holes.h"
#include "keys/hash.h"

namespace dht {
namespace {

constexpr size_t kChecksumSize = 8;

std::string PathIn(const std::string& folder) { return folder + "/WATERMARK"; }

std::string Encode(const Watermark::Mark& mark) {
  const base::Bytes numbers = base::ByteWriter().U64(mark.sequence).U64(mark.manifest).U64(mark.manifest_size).Take();
  const keys::Digest digest = keys::Hash("watermark", {numbers});
  return base::ToString(numbers) + base::ToString(base::ByteView(digest).first(kChecksumSize));
}

absl::Status OrRefused(const rocksdb::Status& status) {
  return status.ok() ? absl::OkStatus() : absl::ResourceExhaustedError("node store cannot be written");
}

// Of "MANIFEST-000013", with or without folders before it.
std::optional<uint64_t> NumberOfManifest(absl::string_view path) {
  absl::string_view name = path.substr(path.rfind('/') + 1);
  uint64_t number = 0;
  if (!absl::ConsumePrefix(&name, "MANIFEST-") || !absl::SimpleAtoi(name, &number)) return std::nullopt;
  return number;
}

class WatchedManifest : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  WatchedManifest(std::unique_ptr<rocksdb::FSWritableFile> file, uint64_t number, std::shared_ptr<Watermark> watermark)
      : rocksdb::FSWritableFileOwnerWrapper(std::move(file)), number_(number), watermark_(std::move(watermark)) {}

  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* debug) override {
    return Counted(data.size(), rocksdb::FSWritableFileOwnerWrapper::Append(data, options, debug));
  }
  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           const rocksdb::DataVerificationInfo& verification, rocksdb::IODebugContext* debug) override {
    return Counted(data.size(), rocksdb::FSWritableFileOwnerWrapper::Append(data, options, verification, debug));
  }
  rocksdb::IOStatus Sync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
    return Synced(rocksdb::FSWritableFileOwnerWrapper::Sync(options, debug));
  }
  rocksdb::IOStatus Fsync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
    return Synced(rocksdb::FSWritableFileOwnerWrapper::Fsync(options, debug));
  }

 private:
  rocksdb::IOStatus Counted(size_t size, rocksdb::IOStatus status) {
    if (status.ok()) size_ += size;
    return status;
  }
  rocksdb::IOStatus Synced(rocksdb::IOStatus status) {
    if (status.ok()) watermark_->OnManifest(number_, size_);
    return status;
  }

  const uint64_t number_;
  const std::shared_ptr<Watermark> watermark_;
  uint64_t size_ = 0;
};

class WatchingFileSystem : public rocksdb::FileSystemWrapper {
 public:
  WatchingFileSystem(std::shared_ptr<rocksdb::FileSystem> under, std::shared_ptr<Watermark> watermark)
      : rocksdb::FileSystemWrapper(std::move(under)), watermark_(std::move(watermark)) {}
  const char* Name() const override { return "bulbil.WatchManifests"; }

  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* result, rocksdb::IODebugContext* debug) override {
    const rocksdb::IOStatus status = target()->NewWritableFile(path, options, result, debug);
    const std::optional<uint64_t> number = NumberOfManifest(path);
    if (status.ok() && number) *result = std::make_unique<WatchedManifest>(std::move(*result), *number, watermark_);
    return status;
  }
  // Asked by RocksDB when it looks for space to recover by itself, which it may not (rocksdb_record_store.h).
  rocksdb::IOStatus GetFreeSpace(const std::string&, const rocksdb::IOOptions&, uint64_t*, rocksdb::IODebugContext*) override {
    return rocksdb::IOStatus::NotSupported("recovery is the store's");
  }

 private:
  const std::shared_ptr<Watermark> watermark_;
};

}  // namespace

std::optional<Watermark::Mark> Watermark::Read(rocksdb::Env& env, const std::string& folder) {
  std::string bytes;
  if (!rocksdb::ReadFileToString(&env, PathIn(folder), &bytes).ok()) return std::nullopt;
  base::ByteReader reader(base::AsBytes(bytes));
  Mark mark;
  mark.sequence = reader.U64();
  mark.manifest = reader.U64();
  mark.manifest_size = reader.U64();
  if (bytes != Encode(mark)) return std::nullopt;
  return mark;
}

bool Watermark::ManifestFellBehind(rocksdb::Env& env, const std::string& folder, const Mark& mark) {
  std::string current;
  if (!rocksdb::ReadFileToString(&env, folder + "/CURRENT", &current).ok()) return false;
  const absl::string_view name = absl::StripSuffix(current, "\n");
  const std::optional<uint64_t> number = NumberOfManifest(name);
  const std::string path = absl::StrCat(folder, "/", name);
  uint64_t size = 0;
  if (number != mark.manifest || !env.GetFileSize(path, &size).ok()) return false;
  return size < mark.manifest_size || HasHole(env, path, mark.manifest_size);
}

absl::StatusOr<std::shared_ptr<Watermark>> Watermark::Start(rocksdb::Env& env, const std::string& folder, const Mark& mark) {
  const std::string path = PathIn(folder);
  uint64_t size = 0;
  if (!env.GetFileSize(path, &size).ok() || size != Encode(mark).size()) {
    RETURN_IF_ERROR(OrRefused(rocksdb::WriteStringToFile(&env, Encode(mark), path, /*should_sync=*/true)));
    std::unique_ptr<rocksdb::Directory> directory;
    RETURN_IF_ERROR(OrRefused(env.NewDirectory(folder, &directory)));
    RETURN_IF_ERROR(OrRefused(directory->Fsync()));
  }
  std::unique_ptr<rocksdb::RandomRWFile> file;
  RETURN_IF_ERROR(OrRefused(env.NewRandomRWFile(path, &file, rocksdb::EnvOptions())));
  return std::shared_ptr<Watermark>(new Watermark(std::move(file), mark));
}

Watermark::Watermark(std::unique_ptr<rocksdb::RandomRWFile> file, const Mark& mark) : file_(std::move(file)), mark_(mark) {}

Watermark::~Watermark() = default;

void Watermark::Advance(uint64_t sequence) {
  absl::MutexLock lock(&mutex_);
  if (sequence <= mark_.sequence) return;
  mark_.sequence = sequence;
  file_->Write(0, Encode(mark_)).PermitUncheckedError();
}

void Watermark::OnManifest(uint64_t manifest, uint64_t size) {
  absl::MutexLock lock(&mutex_);
  mark_.manifest = manifest;
  mark_.manifest_size = size;
  file_->Write(0, Encode(mark_)).PermitUncheckedError();
}

absl::Status Watermark::Reset(uint64_t sequence) {
  absl::MutexLock lock(&mutex_);
  mark_.sequence = sequence;
  RETURN_IF_ERROR(OrRefused(file_->Write(0, Encode(mark_))));
  return OrRefused(file_->Sync());
}

std::shared_ptr<rocksdb::FileSystem> WatchManifests(std::shared_ptr<rocksdb::FileSystem> under,
                                                    std::shared_ptr<Watermark> watermark) {
  return std::make_shared<WatchingFileSystem>(std::move(under), std::move(watermark));
}

}  // namespace dht
