// SPDX-License-Identifier: Apache-2.0
// What only the disk can do: survive reopening, be locked, be damaged, be full.
#include "dht/rocksdb_record_store.h"

#include <gtest/gtest.h>
#include <rocksdb/compaction_filter.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "dht/rocksdb_open.h"
#include "tests/support/status_matchers.h"

namespace dht {
namespace {

namespace fs = std::filesystem;
const absl::Time kNow = absl::FromUnixSeconds(1'795'000'000);

Record Numbered(int i, absl::Time expiry = kNow + absl::Hours(24)) {
  return MakeBlob(base::AsBytes("record number " + std::to_string(i)), expiry);
}

class RocksdbRecordStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    char folder[] = "/tmp/bulbil-rocksdb-XXXXXX";
    ASSERT_NE(mkdtemp(folder), nullptr);
    folder_ = folder;
    path_ = folder_ / "store";
  }
  void TearDown() override { fs::remove_all(folder_); }

  absl::StatusOr<std::unique_ptr<RocksdbRecordStore>> Open(rocksdb::Env* env = nullptr) {
    return RocksdbRecordStore::Open({.path = path_.string(), .env = env, .clock = [] { return kNow; }});
  }
  // Writes records 0..count-1, each in a synced batch of its own, and ends as if by kill -9: nothing is flushed or closed.
  void WriteAndDie(int count) {
    const pid_t child = fork();
    if (child == 0) {
      auto store = Open();
      bool good = store.ok();
      for (int i = 0; good && i < count; ++i) good = (*store)->Apply({.puts = {Numbered(i)}}).ok();
      _exit(good ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_EQ(status, 0);
  }
  fs::path NewestLog() {
    fs::path newest;
    for (const auto& entry : fs::directory_iterator(path_)) {
      if (entry.path().extension() == ".log" && entry.path() > newest && fs::file_size(entry.path()) > 0) newest = entry.path();
    }
    return newest;
  }
  static int Held(const RecordStore& store, int count) {
    int held = 0;
    for (int i = 0; i < count; ++i) held += store.Holds(Numbered(i).name, kNow) ? 1 : 0;
    return held;
  }

  // -1: the store cannot be scanned.
  static int Listed(const RecordStore& store) {
    int listed = 0;
    const absl::Status status = store.Scan({{}, {}}, std::nullopt, kNow, [&](const HeldName&) { return ++listed > 0; });
    return status.ok() ? listed : -1;
  }
  std::vector<fs::path> Tables() {
    std::vector<fs::path> tables;
    for (const auto& entry : fs::directory_iterator(path_)) {
      if (entry.path().extension() == ".sst") tables.push_back(entry.path());
    }
    return tables;
  }
  static void Overwrite(const fs::path& file, std::streamoff at, const std::string& bytes) {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekp(at);
    stream << bytes;
  }

  fs::path folder_, path_;
};

TEST_F(RocksdbRecordStoreTest, KeepsEverythingAcknowledgedThroughAKill) {
  WriteAndDie(50);
  ASSERT_OK_AND_ASSIGN(const auto store, Open());
  EXPECT_EQ(Held(*store, 50), 50);
  EXPECT_FALSE(store->suspect());
  EXPECT_EQ(store->counts().records, 50u);
}

TEST_F(RocksdbRecordStoreTest, ACutLogIsNeverTakenInSilence) {
  WriteAndDie(50);
  const fs::path log = NewestLog();
  fs::resize_file(log, fs::file_size(log) - 100);
  {
    ASSERT_OK_AND_ASSIGN(const auto store, Open());
    EXPECT_TRUE(store->suspect());
    EXPECT_GE(Held(*store, 50), 45);
    EXPECT_LT(Held(*store, 50), 50);
  }
  ASSERT_OK_AND_ASSIGN(const auto again, Open());
  EXPECT_TRUE(again->suspect()) << "the mark outlives a restart";
  ASSERT_OK(again->ClearSuspect());
  EXPECT_FALSE(again->suspect());
}

TEST_F(RocksdbRecordStoreTest, ClearingTheMarkOutlivesARestart) {
  WriteAndDie(5);
  const fs::path log = NewestLog();
  fs::resize_file(log, fs::file_size(log) - 10);
  ASSERT_OK((*Open())->ClearSuspect());
  EXPECT_FALSE((*Open())->suspect());
}

TEST_F(RocksdbRecordStoreTest, AFlippedByteInTheLogIsNoticed) {
  WriteAndDie(50);
  const fs::path log = NewestLog();
  std::fstream file(log, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(fs::file_size(log) / 2));
  file.write("\xaa\xbb", 2);
  file.close();
  ASSERT_OK_AND_ASSIGN(const auto store, Open());
  EXPECT_TRUE(store->suspect());
  EXPECT_GT(Held(*store, 50), 10);
}

TEST_F(RocksdbRecordStoreTest, ALogThatIsMissingAsAWholeIsNoticed) {
  WriteAndDie(5);
  fs::remove(NewestLog());
  ASSERT_OK_AND_ASSIGN(const auto store, Open());
  EXPECT_TRUE(store->suspect());
}

TEST_F(RocksdbRecordStoreTest, ALogCutBetweenTwoWritesIsNoticed) {
  ASSERT_OK_AND_ASSIGN(const auto store, Open());
  for (int i = 0; i < 10; ++i) ASSERT_OK(store->Apply({.puts = {Numbered(i)}}));
  const uintmax_t size = fs::file_size(NewestLog());
  ASSERT_OK(store->Apply({.puts = {Numbered(10)}}));
  fs::copy(path_, folder_ / "copy", fs::copy_options::recursive);
  fs::resize_file(folder_ / "copy" / NewestLog().filename(), size);
  ASSERT_OK_AND_ASSIGN(const auto cut, RocksdbRecordStore::Open({.path = folder_ / "copy", .clock = [] { return kNow; }}));
  EXPECT_EQ(Held(*cut, 11), 10);
  EXPECT_TRUE(cut->suspect());
}

// RocksDB takes a manifest without its end for that of an earlier time, and deletes the tables that it does not name.
TEST_F(RocksdbRecordStoreTest, WhatAManifestForgotIsNoticedAndKept) {
  WriteAndDie(50);
  ASSERT_OK_AND_ASSIGN(const auto store, Open());  // makes a table of them
  ASSERT_OK(store->Apply({.puts = {Numbered(50)}}));
  const fs::path copy = folder_ / "copy";
  fs::copy(path_, copy, fs::copy_options::recursive);
  for (const auto& entry : fs::directory_iterator(copy)) {
    const bool is_manifest = entry.path().filename().string().rfind("MANIFEST-", 0) == 0;
    if (is_manifest) fs::resize_file(entry, fs::file_size(entry) / 2);
  }
  ASSERT_OK_AND_ASSIGN(const auto cut, RocksdbRecordStore::Open({.path = copy, .clock = [] { return kNow; }}));
  EXPECT_EQ(Held(*cut, 51), 51);
  EXPECT_TRUE(cut->suspect());
}

// What RocksDB takes for the end of a block: it passes over all that follows there.
TEST_F(RocksdbRecordStoreTest, APageOfZerosWhereAWriteBeginsInTheLogIsNoticed) {
  constexpr uintmax_t kBlock = 32 * 1024, kPage = 4096;
  constexpr size_t kAround = 7 + 12 + 2 + 65 + 3 + 16;  // of a body in the log: part, batch, tag, key, length, value
  std::vector<Record> records;
  ASSERT_OK_AND_ASSIGN(const auto store, Open());
  for (uintmax_t block = 1; block <= 4; ++block) {
    const size_t room = block * kBlock - fs::file_size(NewestLog());
    records.push_back(MakeBlob(base::Bytes(room - kAround, static_cast<uint8_t>(block)), kNow + absl::Hours(24)));
    ASSERT_OK(store->Apply({.puts = {records.back()}}));
    ASSERT_EQ(fs::file_size(NewestLog()), block * kBlock) << "another layout";
  }
  for (uintmax_t at = 0; at < 4 * kBlock; at += kBlock) {
    const fs::path copy = folder_ / ("copy" + std::to_string(at));
    fs::copy(path_, copy, fs::copy_options::recursive);
    Overwrite(copy / NewestLog().filename(), static_cast<std::streamoff>(at), std::string(kPage, '\0'));
    ASSERT_OK_AND_ASSIGN(const auto holed, RocksdbRecordStore::Open({.path = copy, .clock = [] { return kNow; }}));
    EXPECT_EQ(Listed(*holed), 3);
    EXPECT_TRUE(holed->suspect()) << at;
  }
}

TEST_F(RocksdbRecordStoreTest, ZerosWhereAnEntryOfTheManifestBeginsAreNoticedAndNothingIsDropped) {
  WriteAndDie(50);
  ASSERT_OK_AND_ASSIGN(const auto store, Open());  // makes a table of them
  ASSERT_OK(store->Apply({.puts = {Numbered(50)}}));
  fs::path manifest;
  for (const auto& entry : fs::directory_iterator(path_)) {
    if (entry.path().filename().string().rfind("MANIFEST-", 0) == 0) manifest = entry.path();
  }
  std::string bytes;
  ASSERT_TRUE(rocksdb::ReadFileToString(rocksdb::Env::Default(), manifest, &bytes).ok());
  size_t entries = 0;
  for (size_t at = 0; at < bytes.size(); ++entries) {
    const std::string name = "copy" + std::to_string(at);
    fs::copy(path_, folder_ / name, fs::copy_options::recursive);
    Overwrite(folder_ / name / manifest.filename(), static_cast<std::streamoff>(at), std::string(bytes.size() - at, '\0'));
    ASSERT_OK_AND_ASSIGN(const auto holed, RocksdbRecordStore::Open({.path = folder_ / name, .clock = [] { return kNow; }}));
    EXPECT_EQ(Held(*holed, 51), 51) << at;
    EXPECT_TRUE(holed->suspect()) << at;
    at += 7 + static_cast<uint8_t>(bytes[at + 4]) + 256 * static_cast<uint8_t>(bytes[at + 5]);
  }
  EXPECT_GT(entries, 3u);
}

TEST_F(RocksdbRecordStoreTest, AStoreWithoutAReadableWatermarkIsSuspect) {
  WriteAndDie(5);
  fs::remove(path_ / "WATERMARK");
  ASSERT_OK_AND_ASSIGN(auto store, Open());
  EXPECT_TRUE(store->suspect());
  ASSERT_OK(store->ClearSuspect());
  store.reset();
  EXPECT_FALSE((*Open())->suspect());
  Overwrite(path_ / "WATERMARK", 3, "x");
  EXPECT_TRUE((*Open())->suspect());
}

TEST_F(RocksdbRecordStoreTest, ADirectoryWithoutCurrentIsRepairedNotOverwritten) {
  WriteAndDie(5);
  fs::remove(path_ / "CURRENT");
  ASSERT_OK_AND_ASSIGN(const auto store, Open());
  EXPECT_TRUE(store->suspect());
  EXPECT_EQ(Held(*store, 5), 5);
  EXPECT_OK(store->Apply({.puts = {Numbered(7)}}));
}

TEST_F(RocksdbRecordStoreTest, ADirectoryOfWhichNothingIsReadableStartsEmptyAndSuspect) {
  fs::create_directory(path_);
  std::ofstream(path_ / "MANIFEST-000005") << "no manifest";
  ASSERT_OK_AND_ASSIGN(const auto store, Open());
  EXPECT_TRUE(store->suspect());
  EXPECT_EQ(Listed(*store), 0);
  EXPECT_OK(store->Apply({.puts = {Numbered(7)}}));
}

TEST_F(RocksdbRecordStoreTest, TheMarkIsOnTheDiskBeforeAnythingIsDropped) {
  WriteAndDie(50);
  const fs::path log = NewestLog();
  fs::resize_file(log, fs::file_size(log) - 100);
  const pid_t child = fork();
  if (child == 0) _exit(Open().ok() ? 0 : 1);  // dies as soon as it is open
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  EXPECT_TRUE((*Open())->suspect());
}

TEST_F(RocksdbRecordStoreTest, ADamagedTableTakesOnlyItsOwnRecordsWithIt) {
  WriteAndDie(50);
  ASSERT_OK((*Open())->Apply({.puts = {Numbered(50)}}));  // two tables: one of 50 records, one of one record
  ASSERT_OK(Open());
  const std::vector<fs::path> tables = Tables();
  const auto largest = std::max_element(tables.begin(), tables.end(),
                                        [](const fs::path& a, const fs::path& b) { return fs::file_size(a) < fs::file_size(b); });
  Overwrite(*largest, 100, "damage");
  {
    ASSERT_OK_AND_ASSIGN(const auto store, Open());
    EXPECT_TRUE(store->suspect());
    EXPECT_EQ(Held(*store, 51), 1);
    EXPECT_EQ(Listed(*store), 1);
    EXPECT_EQ(store->counts().records, 1u);
    ASSERT_OK(store->Apply({.puts = {Numbered(3)}}));
    ASSERT_OK(store->ClearSuspect());
  }
  ASSERT_OK_AND_ASSIGN(const auto again, Open());
  EXPECT_FALSE(again->suspect());
  EXPECT_EQ(Held(*again, 51), 2);
}

TEST_F(RocksdbRecordStoreTest, DamageThatShowsLaterIsMendedWithoutARestart) {
  WriteAndDie(50);
  ASSERT_OK_AND_ASSIGN(const auto store, Open());
  ASSERT_EQ(Listed(*store), 50);
  for (const fs::path& table : Tables()) Overwrite(table, 100, "damage");
  ASSERT_OK(store->Apply({.puts = {Numbered(60)}}));
  EXPECT_STATUS(store->Get(Numbered(1).name, kNow), kUnavailable) << "not lost, as far as anybody knows yet";
  EXPECT_TRUE(store->suspect());
  while (Listed(*store) < 0) std::this_thread::yield();
  EXPECT_EQ(Listed(*store), 1);
  EXPECT_TRUE(store->Holds(Numbered(60).name, kNow));
  EXPECT_TRUE(store->suspect());
  EXPECT_EQ(store->counts().records, 1u);
  EXPECT_OK(store->Apply({.puts = {Numbered(61)}}));
  EXPECT_OK(store->ClearSuspect());
  EXPECT_FALSE(store->suspect());
}

TEST_F(RocksdbRecordStoreTest, ASecondProcessIsToldWhoHoldsTheLock) {
  ASSERT_OK_AND_ASSIGN(const auto store, Open());
  const pid_t child = fork();
  if (child == 0) {
    const auto second = Open();
    const bool as_told =
        second.status().code() == absl::StatusCode::kFailedPrecondition &&
        second.status().message().find("locked by another process (pid " + std::to_string(getppid())) != absl::string_view::npos;
    _exit(as_told ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(RocksdbRecordStoreTest, AStoreOfAnotherVersionIsLeftAlone) {
  WriteAndDie(5);
  {
    ASSERT_OK_AND_ASSIGN(const OpenedRocksdb opened,
                         OpenRocksdb({.path = path_, .clock = [] { return kNow; }}, OpenEffort::kOpen));
    ASSERT_TRUE(opened.db->Put(rocksdb::WriteOptions(), opened.meta, kFormatKey, "2").ok());
  }
  EXPECT_STATUS(Open().status(), kUnimplemented);
  EXPECT_FALSE(fs::exists(folder_ / "store.suspect"));
  EXPECT_FALSE(fs::exists(folder_ / "store.damaged-1"));
}

// As a file system mounted read-only answers.
class ReadOnlyDisk : public rocksdb::FileSystemWrapper {
 public:
  ReadOnlyDisk() : rocksdb::FileSystemWrapper(rocksdb::FileSystem::Default()) {}
  const char* Name() const override { return "ReadOnlyDisk"; }
  rocksdb::IOStatus NewWritableFile(const std::string&, const rocksdb::FileOptions&, std::unique_ptr<rocksdb::FSWritableFile>*,
                                    rocksdb::IODebugContext*) override {
    return Refusal("open");
  }
  rocksdb::IOStatus NewRandomRWFile(const std::string&, const rocksdb::FileOptions&, std::unique_ptr<rocksdb::FSRandomRWFile>*,
                                    rocksdb::IODebugContext*) override {
    return Refusal("open");
  }
  rocksdb::IOStatus LockFile(const std::string&, const rocksdb::IOOptions&, rocksdb::FileLock**,
                             rocksdb::IODebugContext*) override {
    return Refusal("While lock file: /store/LOCK");
  }

 private:
  static rocksdb::IOStatus Refusal(const char* what) { return rocksdb::IOStatus::IOError(what, std::strerror(EROFS)); }
};

TEST_F(RocksdbRecordStoreTest, AReadOnlyDiskIsSaidToBeOneNotLocked) {
  WriteAndDie(5);
  const std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(std::make_shared<ReadOnlyDisk>());
  EXPECT_STATUS(Open(env.get()).status(), kPermissionDenied);
  EXPECT_EQ(Held(**Open(), 5), 5);
}

TEST_F(RocksdbRecordStoreTest, LeavesNoLogOfItsOwnAndOwnerOnlyFolder) {
  ASSERT_OK_AND_ASSIGN(const auto store, Open());
  ASSERT_OK(store->Apply({.puts = {Numbered(1)}}));
  EXPECT_FALSE(fs::exists(path_ / "LOG"));
  EXPECT_EQ(fs::status(path_).permissions(), fs::perms::owner_all);
}

TEST_F(RocksdbRecordStoreTest, CountsAgainWhenOpened) {
  {
    ASSERT_OK_AND_ASSIGN(const auto store, Open());
    ASSERT_OK(store->Apply({.puts = {Numbered(1), Numbered(2), Numbered(3)}}));
    ASSERT_OK(store->Apply({.removes = {Numbered(2).name}}));
  }
  ASSERT_OK_AND_ASSIGN(const auto store, Open());
  EXPECT_EQ(store->counts().records, 2u);
  EXPECT_EQ(store->counts().bytes, 2 * (kRecordHeaderSize + Numbered(1).body.size()));
}

TEST_F(RocksdbRecordStoreTest, WritesFromManyThreadsAllLandWhileOthersRead) {
  ASSERT_OK_AND_ASSIGN(const auto store, Open());
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 4; ++writer) {
    writers.emplace_back([&store, writer] {
      for (int i = 0; i < 25; ++i) EXPECT_OK(store->Apply({.puts = {Numbered(writer * 100 + i)}}));
    });
  }
  for (int i = 0; i < 200; ++i) EXPECT_LE(Listed(*store), 100);
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(store->counts().records, 100u);
  EXPECT_EQ(Listed(*store), 100);
}

// A disk that says "no space" while told to, for files with `only` in their names.
class FullableFile : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  FullableFile(std::unique_ptr<rocksdb::FSWritableFile> file, const std::atomic<bool>& full)
      : rocksdb::FSWritableFileOwnerWrapper(std::move(file)), full_(full) {}
  using rocksdb::FSWritableFileOwnerWrapper::Append;
  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* debug) override {
    if (full_) return rocksdb::IOStatus::NoSpace("disk full");
    return rocksdb::FSWritableFileOwnerWrapper::Append(data, options, debug);
  }

 private:
  const std::atomic<bool>& full_;
};
class FullableDisk : public rocksdb::FileSystemWrapper {
 public:
  FullableDisk() : rocksdb::FileSystemWrapper(rocksdb::FileSystem::Default()) {}
  const char* Name() const override { return "FullableDisk"; }
  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* result, rocksdb::IODebugContext* debug) override {
    std::unique_ptr<rocksdb::FSWritableFile> file;
    const rocksdb::IOStatus status = target()->NewWritableFile(name, options, &file, debug);
    if (!status.ok()) return status;
    const bool is_meant = name.find(only) != std::string::npos;
    *result = is_meant ? std::make_unique<FullableFile>(std::move(file), full) : std::move(file);
    return status;
  }
  // Without it RocksDB does not look for space by itself every five seconds, and the store's own retry is what is tested.
  rocksdb::IOStatus GetFreeSpace(const std::string&, const rocksdb::IOOptions&, uint64_t*, rocksdb::IODebugContext*) override {
    return rocksdb::IOStatus::NotSupported("");
  }
  std::atomic<bool> full = false;
  std::string only;
};

TEST_F(RocksdbRecordStoreTest, AFullDiskRefusesWritesGoesOnReadingAndRecovers) {
  const auto disk = std::make_shared<FullableDisk>();
  const std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(disk);
  absl::Time now = kNow;
  ASSERT_OK_AND_ASSIGN(const auto store,
                       RocksdbRecordStore::Open({.path = path_.string(), .env = env.get(), .clock = [&now] { return now; }}));
  ASSERT_OK(store->Apply({.puts = {Numbered(0)}}));
  disk->full = true;
  EXPECT_STATUS(store->Apply({.puts = {Numbered(1)}}), kResourceExhausted);
  EXPECT_EQ(store->state(), StoreState::kFull);
  EXPECT_TRUE(store->Holds(Numbered(0).name, kNow));
  EXPECT_EQ(store->counts().records, 1u);
  disk->full = false;
  now += absl::Seconds(2);
  EXPECT_STATUS(store->Apply({.puts = {Numbered(2)}}), kResourceExhausted) << "it is opened again meanwhile";
  while (store->state() != StoreState::kOk) std::this_thread::yield();
  ASSERT_OK(store->Apply({.puts = {Numbered(2)}}));
  EXPECT_EQ(store->state(), StoreState::kOk);
  EXPECT_TRUE(store->Holds(Numbered(0).name, kNow));
  EXPECT_TRUE(store->Holds(Numbered(2).name, kNow));
}

// Log, table, manifest: each may be what meets the end of the space first.
class EveryWrite : public RocksdbRecordStoreTest, public testing::WithParamInterface<const char*> {};

TEST_P(EveryWrite, ThatFindsNoSpaceIsRefusedAndLosesNothing) {
  const auto disk = std::make_shared<FullableDisk>();
  disk->only = GetParam();
  const std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(disk);
  absl::Time now = kNow;
  ASSERT_OK_AND_ASSIGN(auto store,
                       RocksdbRecordStore::Open({.path = path_.string(), .env = env.get(), .clock = [&now] { return now; }}));
  std::vector<Record> acknowledged;
  const auto put = [&](int i) {
    base::Bytes body(60'000, static_cast<uint8_t>(i));
    body[0] = static_cast<uint8_t>(i >> 8);
    const Record record = MakeBlob(body, kNow + absl::Hours(24));
    const absl::Status status = store->Apply({.puts = {record}});
    if (status.ok()) acknowledged.push_back(record);
    return status;
  };
  const auto lost = [&] {
    return std::count_if(acknowledged.begin(), acknowledged.end(), [&](const Record& record) {
      const absl::StatusOr<Record> found = store->Get(record.name, kNow);
      return !found.ok() || *found != record;
    });
  };
  for (int i = 0; i < 10; ++i) ASSERT_OK(put(i));
  disk->full = true;
  absl::Status status;
  for (int i = 10; i < 1000 && status.ok(); ++i) status = put(i);  // some tables' worth
  EXPECT_STATUS(status, kResourceExhausted);
  EXPECT_EQ(store->state(), StoreState::kFull);
  EXPECT_EQ(lost(), 0);
  disk->full = false;
  now += absl::Seconds(2);
  EXPECT_STATUS(put(1000), kResourceExhausted) << "it is opened again meanwhile";
  while (store->state() != StoreState::kOk) std::this_thread::yield();
  status = put(1001);
  EXPECT_OK(status);
  EXPECT_EQ(store->state(), StoreState::kOk);
  EXPECT_EQ(lost(), 0);
  store.reset();
  ASSERT_OK_AND_ASSIGN(store, Open());
  EXPECT_EQ(lost(), 0);
  EXPECT_FALSE(store->suspect());
}

INSTANTIATE_TEST_SUITE_P(Files, EveryWrite, testing::Values(".log", ".sst", "MANIFEST-"), [](const auto& write) {
  return write.index == 0 ? "Log" : write.index == 1 ? "Table" : "Manifest";
});

TEST_F(RocksdbRecordStoreTest, WithoutSpaceToOpenItIsSaidAndNothingIsLost) {
  WriteAndDie(20);
  const auto disk = std::make_shared<FullableDisk>();
  const std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(disk);
  for (const char* only : {".sst", "MANIFEST-", ".dbtmp"}) {
    disk->only = only;
    disk->full = true;
    EXPECT_STATUS(Open(env.get()).status(), kResourceExhausted) << only;
    disk->full = false;
    ASSERT_OK_AND_ASSIGN(const auto store, Open(env.get()));
    EXPECT_EQ(Held(*store, 20), 20) << only;
    EXPECT_FALSE(store->suspect()) << only;
  }
}

}  // namespace
}  // namespace dht
