// SPDX-License-Identifier: Apache-2.0
#include "keys/key_store.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/check.h"
#include "tests/support/seeded_rng.h"
#include "tests/support/status_matchers.h"

namespace keys {
namespace {

constexpr KeyStoreOptions kCheap = {.argon2_passes = 1, .argon2_memory = 8192};
const std::optional<std::string> kUnsealed;

class KeyStoreTest : public testing::Test {
 protected:
  KeyStoreTest() {
    CHECK(mkdtemp(root_.data()) != nullptr);
    directory_ = root_ + "/home/keys";
    info_.name = "me";
    info_.created = absl::FromUnixSeconds(1'795'000'000);
  }
  ~KeyStoreTest() override { std::filesystem::remove_all(root_); }

  FileKeyStore Store() const { return FileKeyStore(directory_, kCheap); }
  std::string Path() const { return Store().PathOf("me"); }
  void Save(const std::optional<std::string>& passphrase) { ASSERT_OK(Store().Save(info_, key_, passphrase, rng_)); }
  std::string Text() const {
    std::stringstream text;
    text << std::ifstream(Path()).rdbuf();
    return text.str();
  }
  void SetText(const std::string& text) { std::ofstream(Path(), std::ios::trunc) << text; }
  absl::Status LoadError(const std::optional<std::string>& passphrase) { return Store().Load("me", passphrase).status(); }
  // The reason and the remedy, as E6 shows them.
  std::string Unsafe() {
    const absl::Status status = LoadError(kUnsealed);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
    return std::string(status.message());
  }

  std::string root_ = testing::TempDir() + "key_store_XXXXXX";
  std::string directory_;
  support::SeededRng rng_{5};
  SigningKey key_ = SigningKey::Generate(rng_);
  KeyFileInfo info_;
};

TEST_F(KeyStoreTest, WhatIsSavedIsLoaded) {
  for (const std::optional<std::string>& passphrase : {kUnsealed, std::optional<std::string>("correct horse")}) {
    for (bool imported : {false, true}) {
      info_.imported = imported;
      Save(passphrase);
      ASSERT_OK_AND_ASSIGN(const LoadedKey loaded, Store().Load("me", passphrase));
      EXPECT_EQ(loaded.key.public_key(), key_.public_key());
      EXPECT_TRUE(ConstantTimeEqual(loaded.key.seed().view(), key_.seed().view()));
      EXPECT_EQ(loaded.info.name, "me");
      EXPECT_EQ(loaded.info.public_key, key_.public_key());
      EXPECT_EQ(loaded.info.created, info_.created);
      EXPECT_EQ(loaded.info.imported, imported);
      EXPECT_EQ(loaded.info.sealed, passphrase.has_value());
      ASSERT_OK(Store().Remove("me"));
    }
  }
}

TEST_F(KeyStoreTest, ASealedFileDoesNotHoldTheSeed) {
  Save("correct horse");
  EXPECT_FALSE(absl::StrContains(Text(), base::ToHex(key_.seed().view())));
  EXPECT_STATUS(LoadError(kUnsealed), kInvalidArgument);
  EXPECT_STATUS(LoadError("wrong horse"), kUnauthenticated);
  EXPECT_STATUS(LoadError(""), kUnauthenticated);
}

TEST_F(KeyStoreTest, FilesAndDirectoryAreClosedToOthers) {
  const mode_t before = umask(0);
  Save(kUnsealed);
  umask(before);
  EXPECT_EQ(std::filesystem::status(Path()).permissions(), std::filesystem::perms(0600));
  EXPECT_EQ(std::filesystem::status(directory_).permissions(), std::filesystem::perms(0700));
}

TEST_F(KeyStoreTest, ANameIsTakenOnce) {
  Save(kUnsealed);
  const SigningKey other = SigningKey::Generate(rng_);
  EXPECT_STATUS(Store().Save(info_, other, kUnsealed, rng_), kAlreadyExists);
  ASSERT_OK_AND_ASSIGN(const LoadedKey loaded, Store().Load("me", kUnsealed));
  EXPECT_EQ(loaded.key.public_key(), key_.public_key());
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory_)) files += entry.exists();
  EXPECT_EQ(files, 1u);  // no temporary one is left
}

TEST_F(KeyStoreTest, APassphraseCanBeReplaced) {
  EXPECT_STATUS(Store().Replace(info_, key_, "new", rng_), kNotFound);
  Save("old");
  ASSERT_OK(Store().Replace(info_, key_, "new", rng_));
  EXPECT_STATUS(LoadError("old"), kUnauthenticated);
  EXPECT_OK(LoadError("new"));
}

TEST_F(KeyStoreTest, NamesCannotLeaveTheDirectory) {
  for (const char* name : {"", ".", "..", "../me", "a/b", "a b", "\xc3\xa9", "123456789012345678901234567890123"}) {
    info_.name = name;
    EXPECT_STATUS(Store().Save(info_, key_, kUnsealed, rng_), kInvalidArgument) << name;
    EXPECT_STATUS(Store().Load(name, kUnsealed), kInvalidArgument) << name;
    EXPECT_STATUS(Store().Remove(name), kInvalidArgument) << name;
  }
}

TEST_F(KeyStoreTest, ListNamesAllWithoutAPassphrase) {
  ASSERT_OK_AND_ASSIGN(const std::vector<KeyFileInfo> none, Store().List());
  EXPECT_TRUE(none.empty());
  Save("secret");
  info_.name = "bob";
  ASSERT_OK(Store().Save(info_, SigningKey::Generate(rng_), kUnsealed, rng_));
  std::ofstream(directory_ + "/notes.txt") << "not a key";
  ASSERT_OK_AND_ASSIGN(const std::vector<KeyFileInfo> infos, Store().List());
  ASSERT_EQ(infos.size(), 2u);
  EXPECT_EQ(infos[0].name, "bob");
  EXPECT_FALSE(infos[0].sealed);
  EXPECT_EQ(infos[1].name, "me");
  EXPECT_TRUE(infos[1].sealed);
  EXPECT_EQ(infos[1].public_key, key_.public_key());

  SetText("garbage");
  const absl::Status status = Store().List().status();
  EXPECT_TRUE(absl::StrContains(status.message(), Path())) << status;
}

TEST_F(KeyStoreTest, WhatIsNotThereIsNotFound) {
  EXPECT_STATUS(LoadError(kUnsealed), kNotFound);  // not even a directory
  Save(kUnsealed);
  EXPECT_STATUS(Store().Load("you", kUnsealed), kNotFound);
  EXPECT_STATUS(Store().Info("you"), kNotFound);
  EXPECT_STATUS(Store().Remove("you"), kNotFound);
}

TEST_F(KeyStoreTest, FilesOpenToOthersAreRefusedWithTheRemedy) {
  Save(kUnsealed);
  for (mode_t mode : {0644u, 0640u, 0602u, 0610u}) {
    ASSERT_EQ(chmod(Path().c_str(), mode), 0);
    EXPECT_STATUS(LoadError(kUnsealed), kFailedPrecondition);
  }
  ASSERT_EQ(chmod(Path().c_str(), 0644), 0);
  EXPECT_EQ(Unsafe(), absl::StrCat(Path(), " can be read by others (mode 0644)\n  fix: chmod 600 ", Path()));
  EXPECT_STATUS(Store().List(), kFailedPrecondition);
  ASSERT_EQ(chmod(Path().c_str(), 0600), 0);
  EXPECT_OK(LoadError(kUnsealed));
}

TEST_F(KeyStoreTest, DirectoriesOpenToOthersAreRefusedWithTheRemedy) {
  Save(kUnsealed);
  ASSERT_EQ(chmod(directory_.c_str(), 0755), 0);
  EXPECT_EQ(Unsafe(), absl::StrCat(directory_, " can be read by others (mode 0755)\n  fix: chmod 700 ", directory_));
  info_.name = "other";
  EXPECT_STATUS(Store().Save(info_, key_, kUnsealed, rng_), kFailedPrecondition);
  ASSERT_EQ(chmod(directory_.c_str(), 0777), 0);
  EXPECT_EQ(Unsafe(), absl::StrCat(directory_, " can be written by others (mode 0777)\n  fix: chmod 700 ", directory_));
}

TEST_F(KeyStoreTest, FilesOfAnotherUserAreRefused) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  Save(kUnsealed);
  ASSERT_EQ(chown(Path().c_str(), 12345, 12345), 0);
  EXPECT_EQ(Unsafe(), Path() + " belongs to another user");
  ASSERT_EQ(chown(directory_.c_str(), 12345, 12345), 0);
  EXPECT_EQ(Unsafe(), directory_ + " belongs to another user");
}

TEST_F(KeyStoreTest, SymbolicLinksAreRefused) {
  Save(kUnsealed);
  ASSERT_EQ(rename(Path().c_str(), (directory_ + "/real").c_str()), 0);
  ASSERT_EQ(symlink("real", Path().c_str()), 0);
  EXPECT_EQ(Unsafe(), Path() + " is a symbolic link");
  EXPECT_STATUS(Store().Save(info_, key_, kUnsealed, rng_), kAlreadyExists);
}

TEST_F(KeyStoreTest, WhatIsNoPlainFileIsRefusedAtOnce) {
  Save(kUnsealed);
  ASSERT_EQ(unlink(Path().c_str()), 0);
  ASSERT_EQ(mkfifo(Path().c_str(), 0600), 0);
  EXPECT_EQ(Unsafe(), Path() + " is not a plain file");
  ASSERT_EQ(unlink(Path().c_str()), 0);
  ASSERT_EQ(mkdir(Path().c_str(), 0700), 0);
  EXPECT_EQ(Unsafe(), Path() + " is not a plain file");
}

TEST_F(KeyStoreTest, ATruncatedFileIsRefused) {
  for (const std::optional<std::string>& passphrase : {kUnsealed, std::optional<std::string>("secret")}) {
    Save(passphrase);
    const std::string text = Text();
    for (size_t size = 0; size < text.size(); ++size) {
      SetText(text.substr(0, size));
      ASSERT_EQ(LoadError(passphrase).code(), absl::StatusCode::kUnauthenticated) << size;
    }
    SetText(text + "\n");
    EXPECT_STATUS(LoadError(passphrase), kUnauthenticated);
    SetText(text + std::string(5000, 'x'));
    EXPECT_STATUS(LoadError(passphrase), kFailedPrecondition);
    ASSERT_OK(Store().Remove("me"));
  }
}

TEST_F(KeyStoreTest, AnyAlteredCharacterOfASealedFileIsRefused) {
  Save("secret");
  const std::string text = Text();
  const absl::Status wrong_passphrase = LoadError("wrong");
  for (size_t i = 0; i < text.size(); ++i) {
    std::string altered = text;
    altered[i] = text[i] == '0' ? '1' : '0';
    SetText(altered);
    ASSERT_EQ(LoadError("secret"), wrong_passphrase) << altered;
  }
}

TEST_F(KeyStoreTest, AlteredParametersAreRefusedBeforeTheyCostAnything) {
  Save("secret");
  const std::string text = Text();
  ASSERT_TRUE(absl::StrContains(text, "\nargon2id 1 8192\n")) << text;
  for (const char* parameters : {"2 8192", "1 16384", "0 8192", "1 8191", "17 8192", "1 1073741825", "4294967296 8192", "-1 8192",
                                 "1", "1 8192 1", "01 8192", "1 18446744073709551616", " "}) {
    SetText(absl::StrReplaceAll(text, {{"argon2id 1 8192", absl::StrCat("argon2id ", parameters)}}));
    EXPECT_STATUS(LoadError("secret"), kUnauthenticated) << parameters;
  }
}

TEST_F(KeyStoreTest, AnUnsealedSeedMustBelongToTheAddress) {
  Save(kUnsealed);
  const std::string other_seed(64, 'a');
  SetText(absl::StrReplaceAll(Text(), {{base::ToHex(key_.seed().view()), other_seed}}));
  EXPECT_STATUS(LoadError(kUnsealed), kUnauthenticated);
}

TEST_F(KeyStoreTest, ANodeKeyIsMadeOnceAndKept) {
  const std::string node = root_ + "/node-10001";
  ASSERT_OK_AND_ASSIGN(const SigningKey made, LoadOrCreateNodeKey(node, rng_));
  ASSERT_OK_AND_ASSIGN(const SigningKey loaded, LoadOrCreateNodeKey(node, rng_));
  EXPECT_EQ(made.public_key(), loaded.public_key());
  ASSERT_EQ(chmod(node.c_str(), 0755), 0);  // as systemd makes its state directories
  EXPECT_OK(LoadOrCreateNodeKey(node, rng_));
  ASSERT_EQ(chmod(node.c_str(), 0775), 0);
  EXPECT_STATUS(LoadOrCreateNodeKey(node, rng_), kFailedPrecondition);
  ASSERT_EQ(chmod(node.c_str(), 0700), 0);
  ASSERT_EQ(chmod((node + "/node.key").c_str(), 0640), 0);
  EXPECT_STATUS(LoadOrCreateNodeKey(node, rng_), kFailedPrecondition);
}

TEST_F(KeyStoreTest, TheDefaultCostIsModerate) {
  info_.created = absl::FromUnixSeconds(1);
  ASSERT_OK(FileKeyStore(directory_).Save(info_, key_, "secret", rng_));
  EXPECT_TRUE(absl::StrContains(Text(), "\nargon2id 3 268435456\n")) << Text();
}

}  // namespace
}  // namespace keys
