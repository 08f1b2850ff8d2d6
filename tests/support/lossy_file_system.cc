// SPDX-License-Identifier: Apache-2.0
#include "tests/support/lossy_file_system.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace support {
namespace {

namespace fs = std::filesystem;
using rocksdb::IOStatus;
constexpr uint64_t kPage = 4096, kSector = 512;

IOStatus PowerIsOff() { return IOStatus::IOError("the power is off"); }
std::string FolderOf(const std::string& path) { return fs::path(path).parent_path().string(); }

}  // namespace

class LossyFileSystem::WritableFile : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  WritableFile(std::unique_ptr<rocksdb::FSWritableFile> target, LossyFileSystem& disk, std::shared_ptr<File> file, bool is_synced)
      : rocksdb::FSWritableFileOwnerWrapper(std::move(target)), disk_(disk), file_(std::move(file)), is_synced_(is_synced) {}

  IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
    absl::MutexLock lock(&disk_.mutex_);
    const bool happens = disk_.Spend();
    if (happens) {
      const IOStatus status = rocksdb::FSWritableFileOwnerWrapper::Append(data, options, debug);
      if (!status.ok()) return status;
      file_->size += data.size();
    }
    return disk_.off_ ? PowerIsOff() : IOStatus::OK();
  }
  IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options, const rocksdb::DataVerificationInfo&,
                  rocksdb::IODebugContext* debug) override {
    return Append(data, options, debug);
  }
  IOStatus Truncate(uint64_t size, const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override {
    absl::MutexLock lock(&disk_.mutex_);
    if (disk_.off_) return PowerIsOff();
    file_->size = size;
    file_->synced = std::min(file_->synced, size);
    return rocksdb::FSWritableFileOwnerWrapper::Truncate(size, options, debug);
  }
  IOStatus Sync(const rocksdb::IOOptions&, rocksdb::IODebugContext*) override {
    absl::MutexLock lock(&disk_.mutex_);
    if (disk_.Spend() && is_synced_) file_->synced = file_->size;
    return disk_.off_ ? PowerIsOff() : IOStatus::OK();
  }
  IOStatus Fsync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) override { return Sync(options, debug); }
  IOStatus RangeSync(uint64_t, uint64_t, const rocksdb::IOOptions&, rocksdb::IODebugContext*) override {
    return IOStatus::OK();  // a hint; promises nothing
  }
  // No space ahead of need: on a disk of memory that costs more than all the rest.
  void PrepareWrite(size_t, size_t, const rocksdb::IOOptions&, rocksdb::IODebugContext*) override {}
  IOStatus Allocate(uint64_t, uint64_t, const rocksdb::IOOptions&, rocksdb::IODebugContext*) override { return IOStatus::OK(); }

 private:
  LossyFileSystem& disk_;
  const std::shared_ptr<File> file_;
  const bool is_synced_;
};

class LossyFileSystem::Directory : public rocksdb::FSDirectoryWrapper {
 public:
  Directory(std::unique_ptr<rocksdb::FSDirectory> target, LossyFileSystem& disk, std::string folder)
      : rocksdb::FSDirectoryWrapper(std::move(target)), disk_(disk), folder_(std::move(folder)) {}

  IOStatus Fsync(const rocksdb::IOOptions&, rocksdb::IODebugContext*) override {
    absl::MutexLock lock(&disk_.mutex_);
    if (disk_.Spend()) disk_.SyncFolder(folder_);
    return disk_.off_ ? PowerIsOff() : IOStatus::OK();
  }
  IOStatus FsyncWithDirOptions(const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug,
                               const rocksdb::DirFsyncOptions&) override {
    return Fsync(options, debug);
  }

 private:
  LossyFileSystem& disk_;
  const std::string folder_;
};

LossyFileSystem::LossyFileSystem(Options options, base::Rng& rng)
    : rocksdb::FileSystemWrapper(rocksdb::FileSystem::Default()), options_(std::move(options)), rng_(rng) {}

LossyFileSystem::~LossyFileSystem() = default;

void LossyFileSystem::Schedule(uint64_t changes) {
  absl::MutexLock lock(&mutex_);
  changes_left_ = changes;
}

void LossyFileSystem::CutPower() {
  absl::MutexLock lock(&mutex_);
  off_ = true;
}

bool LossyFileSystem::off() const {
  absl::MutexLock lock(&mutex_);
  return off_;
}

bool LossyFileSystem::Spend() {
  if (off_) return false;
  if (changes_left_-- > 0) return true;
  off_ = true;
  return rng_.Below(2) == 0;
}

IOStatus LossyFileSystem::NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                          std::unique_ptr<rocksdb::FSWritableFile>* result, rocksdb::IODebugContext* debug) {
  absl::MutexLock lock(&mutex_);
  if (!Spend() || off_) return PowerIsOff();
  const bool is_new = !fs::exists(path);
  std::unique_ptr<rocksdb::FSWritableFile> file;
  const IOStatus status = target()->NewWritableFile(path, options, &file, debug);
  if (!status.ok()) return status;
  files_[path] = std::make_shared<File>();
  if (is_new) Note({.folder = FolderOf(path), .to = path});
  const bool is_synced = options_.logs_are_synced || !absl::EndsWith(path, ".log");
  *result = std::make_unique<WritableFile>(std::move(file), *this, files_[path], is_synced);
  return status;
}

IOStatus LossyFileSystem::ReopenWritableFile(const std::string&, const rocksdb::FileOptions&,
                                             std::unique_ptr<rocksdb::FSWritableFile>*, rocksdb::IODebugContext*) {
  return IOStatus::NotSupported("a lossy disk does not reopen files");
}

IOStatus LossyFileSystem::ReuseWritableFile(const std::string&, const std::string&, const rocksdb::FileOptions&,
                                            std::unique_ptr<rocksdb::FSWritableFile>*, rocksdb::IODebugContext*) {
  return IOStatus::NotSupported("a lossy disk does not reuse files");
}

IOStatus LossyFileSystem::NewDirectory(const std::string& path, const rocksdb::IOOptions& options,
                                       std::unique_ptr<rocksdb::FSDirectory>* result, rocksdb::IODebugContext* debug) {
  std::unique_ptr<rocksdb::FSDirectory> directory;
  const IOStatus status = target()->NewDirectory(path, options, &directory, debug);
  if (!status.ok()) return status;
  *result = std::make_unique<Directory>(std::move(directory), *this, (fs::path(path) / "").parent_path().string());
  return status;
}

std::string LossyFileSystem::Save(const std::string& path) {
  const std::string saved = absl::StrCat(options_.graveyard, "/", ++last_saved_);
  std::error_code error;
  fs::create_hard_link(path, saved, error);
  return error ? "" : saved;
}

IOStatus LossyFileSystem::DeleteFile(const std::string& path, const rocksdb::IOOptions& options, rocksdb::IODebugContext* debug) {
  absl::MutexLock lock(&mutex_);
  if (!Spend() || off_) return PowerIsOff();
  Change change{.folder = FolderOf(path), .from = path, .saved = Save(path)};
  const IOStatus status = target()->DeleteFile(path, options, debug);
  if (!status.ok()) return status;
  if (const auto file = files_.extract(path)) change.saved_file = file.mapped();
  Note(std::move(change));
  return status;
}

IOStatus LossyFileSystem::RenameFile(const std::string& from, const std::string& to, const rocksdb::IOOptions& options,
                                     rocksdb::IODebugContext* debug) {
  absl::MutexLock lock(&mutex_);
  if (!Spend() || off_) return PowerIsOff();
  Change change{.folder = FolderOf(to), .from = from, .to = to, .saved = fs::exists(to) ? Save(to) : ""};
  const IOStatus status = target()->RenameFile(from, to, options, debug);
  if (!status.ok()) return status;
  if (const auto replaced = files_.extract(to)) change.saved_file = replaced.mapped();
  if (auto moved = files_.extract(from)) files_[to] = moved.mapped();
  Note(std::move(change));
  return status;
}

IOStatus LossyFileSystem::LinkFile(const std::string& from, const std::string& to, const rocksdb::IOOptions& options,
                                   rocksdb::IODebugContext* debug) {
  absl::MutexLock lock(&mutex_);
  if (!Spend() || off_) return PowerIsOff();
  Note({.folder = FolderOf(to), .to = to});
  return target()->LinkFile(from, to, options, debug);
}

void LossyFileSystem::SyncFolder(const std::string& folder) {
  std::erase_if(changes_, [&](const Change& change) {
    if (change.folder != folder) return false;
    if (!change.saved.empty()) fs::remove(change.saved);
    return true;
  });
}

void LossyFileSystem::Undo(const Change& change) {
  std::error_code error;
  const std::string& restored = change.to.empty() ? change.from : change.to;
  if (change.from.empty()) {
    fs::remove(change.to, error);
    files_.erase(change.to);
  } else if (!change.to.empty()) {
    fs::rename(change.to, change.from, error);
    if (auto moved = files_.extract(change.to)) files_[change.from] = moved.mapped();
  }
  if (change.saved.empty()) return;
  fs::rename(change.saved, restored, error);
  if (change.saved_file) files_[restored] = change.saved_file;
}

// Of what was not synced, [synced, size): cut at random, pages missing, the last page torn at sectors.
void LossyFileSystem::Lose(const std::string& path, const File& file) {
  if (file.size <= file.synced || !fs::exists(path)) return;
  const uint64_t most = file.size - file.synced;
  const uint64_t kept = rng_.Below(4) == 0 ? most : rng_.Below(4) == 0 ? 0 : rng_.Below(most + 1);
  const uint64_t end = file.synced + kept;
  fs::resize_file(path, end);
  std::fstream out(path, std::ios::in | std::ios::out | std::ios::binary);
  const auto damage = [&](uint64_t from, uint64_t to, char with) {
    out.seekp(static_cast<std::streamoff>(from));
    out << std::string(to - from, with);
  };
  for (uint64_t page = file.synced / kPage * kPage; page < end; page += kPage) {
    const uint64_t from = std::max(page, file.synced), to = std::min(page + kPage, end);
    if (from < to && rng_.Below(8) == 0) damage(from, to, '\0');
  }
  if (kept == 0 || rng_.Below(2) == 0) return;
  const uint64_t last_page = std::max((end - 1) / kPage * kPage, file.synced);
  const uint64_t torn = std::max(last_page, (last_page + rng_.Below(end - last_page)) / kSector * kSector);
  damage(torn, end, static_cast<char>(rng_.Below(256)));
}

void LossyFileSystem::Restore() {
  absl::MutexLock lock(&mutex_);
  const size_t kept = rng_.Below(changes_.size() + 1);
  for (; changes_.size() > kept; changes_.pop_back()) Undo(changes_.back());
  for (const auto& [path, file] : files_) Lose(path, *file);
  for (const Change& change : changes_) {
    std::error_code error;
    if (!change.saved.empty()) fs::remove(change.saved, error);
  }
  files_.clear();
  changes_.clear();
  changes_left_ = UINT64_MAX;
  off_ = false;
}

}  // namespace support
