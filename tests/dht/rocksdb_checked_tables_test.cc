// SPDX-License-Identifier: Apache-2.0
// Damage in what RocksDB parses before it verifies it is found first.
#include "dht/rocksdb_checked_tables.h"

#include <gtest/gtest.h>
#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <rocksdb/options.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/table.h>
#include <stdlib.h>

#include <filesystem>

namespace dht {
namespace {

namespace fs = std::filesystem;

class CheckedTablesTest : public testing::Test {
 protected:
  void SetUp() override {
    char folder[] = "/tmp/bulbil-tables-XXXXXX";
    ASSERT_NE(mkdtemp(folder), nullptr);
    folder_ = folder;
    path_ = folder_ + "/000007.sst";
  }
  void TearDown() override { fs::remove_all(folder_); }

  // The bytes of a table of some records.
  std::string Write(rocksdb::ChecksumType checksum) {
    rocksdb::BlockBasedTableOptions format;
    format.format_version = kTableFormat;
    format.checksum = checksum;
    rocksdb::Options options;
    options.compression = rocksdb::kNoCompression;
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(format));
    rocksdb::SstFileWriter writer{rocksdb::EnvOptions(), options};
    EXPECT_TRUE(writer.Open(path_).ok());
    for (int i = 100; i < 200; ++i) EXPECT_TRUE(writer.Put(std::to_string(i), std::string(50, 'v')).ok());
    EXPECT_TRUE(writer.Finish().ok());
    std::string bytes;
    EXPECT_TRUE(rocksdb::ReadFileToString(rocksdb::Env::Default(), path_, &bytes).ok());
    return bytes;
  }
  rocksdb::Status OpenWith(const std::string& bytes) {
    EXPECT_TRUE(rocksdb::WriteStringToFile(rocksdb::Env::Default(), bytes, path_).ok());
    std::unique_ptr<rocksdb::RandomAccessFile> file;
    return env_->NewRandomAccessFile(path_, &file, rocksdb::EnvOptions());
  }

  const std::unique_ptr<rocksdb::Env> env_ = rocksdb::NewCompositeEnv(CheckTables(rocksdb::FileSystem::Default()));
  std::string folder_, path_;
};

TEST_F(CheckedTablesTest, DamageInAnyByteOfPropertiesMetaindexAndFooterIsFound) {
  std::string bytes = Write(rocksdb::kCRC32c);
  ASSERT_TRUE(OpenWith(bytes).ok());
  const size_t properties = bytes.find("rocksdb.");
  ASSERT_NE(properties, std::string::npos);
  const size_t footer = bytes.size() - 53;
  for (size_t at = properties; at < bytes.size(); ++at) {
    const char whole = bytes[at];
    const bool is_padding = at > footer && at < bytes.size() - 12 && whole == 0;  // RocksDB never reads it
    bytes[at] = static_cast<char>(whole ^ (1 << at % 8));
    EXPECT_TRUE(OpenWith(bytes).IsCorruption() || is_padding) << "byte " << at << " of " << bytes.size();
    bytes[at] = whole;
  }
}

TEST_F(CheckedTablesTest, ATableThatIsCutIsFound) {
  const std::string bytes = Write(rocksdb::kCRC32c);
  for (size_t size = 0; size < bytes.size(); size += 17) EXPECT_TRUE(OpenWith(bytes.substr(0, size)).IsCorruption()) << size;
}

TEST_F(CheckedTablesTest, TablesOfEarlierVersionsAreLeftToRocksdbButNeverWithoutChecksums) {
  EXPECT_TRUE(OpenWith(Write(rocksdb::kXXH3)).ok());
  EXPECT_TRUE(OpenWith(Write(rocksdb::kNoChecksum)).IsCorruption());
}

TEST_F(CheckedTablesTest, OtherFilesAreNotItsConcern) {
  path_ = folder_ + "/000007.log";
  EXPECT_TRUE(OpenWith("no table").ok());
}

}  // namespace
}  // namespace dht
