// SPDX-License-Identifier: Apache-2.0
#include "cli/received_files.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "cli/errors.h"
#include "cli/file_commands.h"
#include "cli/values.h"
#include "tests/support/seeded_rng.h"
#include "tests/support/status_matchers.h"

namespace cli {
namespace {

std::string ContentOf(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

class ReceivedFilesTest : public testing::Test {
 protected:
  ReceivedFilesTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "received-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
  }
  ~ReceivedFilesTest() override { std::filesystem::remove_all(folder_); }

  std::string folder_;
};

TEST(SafeFileName, KeepsWhatIsHarmless) {
  for (const char* name : {"map.png", "Übersicht 2026.pdf", "日本語.txt", "a-b_c.tar.gz"}) EXPECT_EQ(SafeFileName(name), name);
}

TEST(SafeFileName, LeavesNoWayOutOfTheFolder) {
  EXPECT_EQ(SafeFileName("../../.ssh/authorized_keys"), "authorized_keys");
  EXPECT_EQ(SafeFileName("/etc/passwd"), "passwd");
  EXPECT_EQ(SafeFileName("C:\\windows\\system.ini"), "system.ini");
  for (const char* name : {"", ".", "..", "../", "a/", "...", "/", "\\", "- -", "\n", "\x1b"}) {
    const std::string safe = SafeFileName(name);
    EXPECT_TRUE(safe == "file" || safe == "_") << name << " became " << safe;
  }
  EXPECT_EQ(SafeFileName(".bashrc"), "bashrc");
  EXPECT_EQ(SafeFileName("-rf"), "rf");
  EXPECT_EQ(SafeFileName("a\nb;c|d`e$f"), "a_b_c_d_e_f");
  EXPECT_EQ(SafeFileName("photo\xe2\x80\xaegpj.exe"), "photogpj.exe") << "no direction override";
}

TEST(SafeFileName, OfAnyBytesIsShortPlainAndNeverEmpty) {
  support::SeededRng rng(7);
  for (int i = 0; i < 20000; ++i) {
    std::string name(rng.Below(300), '\0');
    for (char& byte : name) byte = rng.Below(2) == 0 ? static_cast<char>(rng.Below(256)) : "./\\-a \n\xc3"[rng.Below(8)];
    const std::string safe = SafeFileName(name);
    ASSERT_FALSE(safe.empty());
    ASSERT_LE(safe.size(), kSavedNameMax);
    ASSERT_EQ(safe.find_first_of("/\\\n\r\x1b|;`$\""), std::string::npos) << safe;
    ASSERT_NE(safe[0], '.');
    ASSERT_NE(safe[0], '-');
    for (size_t at = 0; at < safe.size(); at += Utf8Length(std::string_view(safe).substr(at))) {
      ASSERT_GT(Utf8Length(std::string_view(safe).substr(at)), 0u) << "not cut inside a character";
    }
  }
}

TEST_F(ReceivedFilesTest, NothingIsOverwrittenAndNoLinkFollowed) {
  ASSERT_OK_AND_ASSIGN(const std::string first, SaveReceived(folder_, "map.png", base::Bytes{'1'}));
  ASSERT_OK_AND_ASSIGN(const std::string second, SaveReceived(folder_, "map.png", base::Bytes{'2'}));
  EXPECT_EQ(first, folder_ + "/map.png");
  EXPECT_EQ(second, folder_ + "/map-1.png");
  EXPECT_EQ(ContentOf(first), "1");
  EXPECT_EQ(ContentOf(second), "2");
  EXPECT_EQ(std::filesystem::status(first).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  std::filesystem::create_symlink(folder_ + "/elsewhere", folder_ + "/trap");
  ASSERT_OK_AND_ASSIGN(const std::string beside, SaveReceived(folder_, "trap", base::Bytes{'3'}));
  EXPECT_EQ(beside, folder_ + "/trap-1");
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/elsewhere"));
}

TEST_F(ReceivedFilesTest, NamesRunOutInsteadOfGoingOnForEver) {
  for (int i = 0; i < kSavedNamesTried; ++i) ASSERT_OK(SaveReceived(folder_, "x", {}));
  EXPECT_EQ(ErrorOf(SaveReceived(folder_, "x", {}).status()).exit, Exit::kLocal);
  EXPECT_EQ(ErrorOf(SaveReceived(folder_ + "/missing", "x", {}).status()).exit, Exit::kLocal);
}

TEST_F(ReceivedFilesTest, OnlyFilesUpToTheLimitAreSent) {
  const std::string path = folder_ + "/a file";
  std::ofstream(path) << "bytes";
  ASSERT_OK_AND_ASSIGN(const FileToSend file, ReadFileToSend(path));
  EXPECT_EQ(file.name, "a file");
  EXPECT_EQ(base::ToString(file.bytes), "bytes");
  std::filesystem::resize_file(path, chat::kFileBytesMax);
  EXPECT_OK(ReadFileToSend(path));
  std::filesystem::resize_file(path, chat::kFileBytesMax + 1);
  EXPECT_EQ(ErrorOf(ReadFileToSend(path).status()).exit, Exit::kRefused);
  EXPECT_EQ(ErrorOf(ReadFileToSend(folder_).status()).exit, Exit::kLocal) << "a folder";
  EXPECT_EQ(ErrorOf(ReadFileToSend(folder_ + "/none").status()).exit, Exit::kLocal);
}

TEST(FileMessage, NamesTheCommandThatKeepsIt) {
  chat::Message message;
  message.id.fill(0x5b);
  message.file = chat::FileInfo{"map\n\x1b[31m.png", 2048, 3};
  EXPECT_EQ(FileMessageText(message), "[file] map [31m.png, 2.0 KiB\nto keep it:  bulbil files save 5b5b5b5b");
}

}  // namespace
}  // namespace cli
