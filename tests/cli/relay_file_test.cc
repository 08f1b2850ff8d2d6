// SPDX-License-Identifier: Apache-2.0
// Kept relays come back for the node that sealed them and for nobody else.
#include "cli/relay_file.h"

#include <unistd.h>

#include <fstream>

#include "gtest/gtest.h"
#include "keys/owner_only_directory.h"
#include "tests/support/seeded_rng.h"
#include "tests/support/status_matchers.h"

namespace cli {
namespace {

TEST(RelayFile, ComesBackForItsNodeAlone) {
  support::SeededRng rng(1);
  const std::string directory = testing::TempDir() + "/relay-file-" + base::ToHex(rng.Array<4>()) + std::to_string(getpid());
  ASSERT_OK(keys::OwnerOnlyDirectory::Create(directory));
  const keys::SigningKey mine = keys::SigningKey::Generate(rng), other = keys::SigningKey::Generate(rng);
  const RelayFile file(directory, mine);
  EXPECT_TRUE(file.Load().empty());
  const base::Bytes relays = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  file.Save(relays, rng);
  EXPECT_EQ(file.Load(), relays);
  EXPECT_TRUE(RelayFile(directory, other).Load().empty());

  std::ifstream in(directory + "/relays", std::ios::binary);
  std::string content((std::istreambuf_iterator<char>(in)), {});
  EXPECT_EQ(content.find("\x01\x02\x03\x04\x05"), std::string::npos) << "in the clear";
  for (size_t i = 0; i < content.size(); ++i) {
    std::string changed = content;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    std::ofstream(directory + "/relays", std::ios::binary) << changed;
    EXPECT_TRUE(file.Load().empty()) << i;
  }
  file.Save({}, rng);
  EXPECT_TRUE(file.Load().empty());
}

}  // namespace
}  // namespace cli
