// SPDX-License-Identifier: Apache-2.0
#include "keys/onion_key_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/support/seeded_rng.h"
#include "tests/support/status_matchers.h"

namespace keys {
namespace {

const absl::Time kMade = absl::FromUnixSeconds(1'795'000'000);

class OnionKeyFile : public testing::Test {
 protected:
  OnionKeyFile() {
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_);
    chmod(directory_.c_str(), 0700);
  }
  ~OnionKeyFile() override { std::filesystem::remove_all(directory_); }

  OnionKeys Make(size_t pairs) {
    OnionKeys keys{.pairs = {}, .made = kMade};
    for (size_t i = 0; i < pairs; ++i) keys.pairs.push_back(X25519KeyPair::Generate(rng_));
    return keys;
  }
  std::string path() const { return directory_ + "/onion.keys"; }

  support::SeededRng rng_{1};
  const std::string directory_ = testing::TempDir() + "/onion_key_file_test-" + std::to_string(getpid());  // tests run side by side
};

void ExpectSame(const OnionKeys& a, const OnionKeys& b) {
  EXPECT_EQ(a.made, b.made);
  ASSERT_EQ(a.pairs.size(), b.pairs.size());
  for (size_t i = 0; i < a.pairs.size(); ++i) {
    EXPECT_EQ(a.pairs[i].public_key, b.pairs[i].public_key);
    EXPECT_EQ(base::ToHex(a.pairs[i].secret_key.view()), base::ToHex(b.pairs[i].secret_key.view()));
  }
}

TEST_F(OnionKeyFile, IsReadAsItWasWrittenAndClosedToOthers) {
  for (size_t pairs = 1; pairs <= 2; ++pairs) {
    const OnionKeys keys = Make(pairs);
    ASSERT_OK(SaveOnionKeys(directory_, keys, rng_));
    ASSERT_OK_AND_ASSIGN(const OnionKeys loaded, LoadOnionKeys(directory_));
    ExpectSame(keys, loaded);
    struct stat mode {};
    ASSERT_EQ(stat(path().c_str(), &mode), 0);
    EXPECT_EQ(mode.st_mode & 0777, 0600u);
  }
  ASSERT_EQ(chmod(path().c_str(), 0640), 0);
  EXPECT_STATUS(LoadOnionKeys(directory_).status(), kFailedPrecondition);
}

TEST_F(OnionKeyFile, NoFileOrADamagedOneMeansNoKeys) {
  ASSERT_OK_AND_ASSIGN(const OnionKeys none, LoadOnionKeys(directory_));
  EXPECT_TRUE(none.pairs.empty());
  ASSERT_OK(SaveOnionKeys(directory_, Make(2), rng_));
  std::ofstream(path(), std::ios::app) << "x";
  ASSERT_OK_AND_ASSIGN(const OnionKeys damaged, LoadOnionKeys(directory_));
  EXPECT_TRUE(damaged.pairs.empty());
}

TEST_F(OnionKeyFile, OnlyWhatWouldBeWrittenAgainIsTaken) {
  const OnionKeys keys = Make(2);
  const std::string text = EncodeOnionKeys(keys);
  ASSERT_OK(DecodeOnionKeys(text));
  for (size_t cut = 0; cut < text.size(); ++cut) {
    const absl::StatusOr<OnionKeys> shorter = DecodeOnionKeys(std::string_view(text).substr(0, cut));
    // Whole lines are a file of their own: the current key without the previous one.
    if (shorter.ok()) {
      EXPECT_EQ(EncodeOnionKeys(*shorter), text.substr(0, cut));
    }
  }
  support::SeededRng rng(7);
  for (int i = 0; i < 2000; ++i) {
    std::string altered = text;
    altered[rng.Below(altered.size())] = static_cast<char>(rng.Below(256));
    const absl::StatusOr<OnionKeys> read = DecodeOnionKeys(altered);
    if (read.ok()) {
      EXPECT_EQ(EncodeOnionKeys(*read), altered);
    }
  }
}

}  // namespace
}  // namespace keys
