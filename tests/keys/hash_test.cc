// SPDX-License-Identifier: Apache-2.0
#include "keys/hash.h"

#include "tests/keys/vector_file.h"

namespace keys {
namespace {

base::Bytes FromHexOrFail(const std::string& hex) {
  const auto bytes = base::FromHex(hex);
  EXPECT_TRUE(bytes.has_value()) << hex;
  return bytes.value_or(base::Bytes());
}

std::vector<base::Bytes> Parts(const support::Vector& vector) {
  std::vector<base::Bytes> parts;
  const std::string text = vector.Text("parts");
  for (size_t begin = 0; parts.size() < vector.Number("part_count");) {
    const size_t end = std::min(text.find(',', begin), text.size());
    parts.push_back(FromHexOrFail(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  return parts;
}

TEST(Hash, AgreesWithTheReference) {
  for (const support::Vector& vector : support::ReadVectors("labelled_hash.json")) {
    const base::Bytes key = vector.Hex("key");
    Hasher hasher(vector.Text("label"), key), hasher512(vector.Text("label"), key, 64);
    for (const base::Bytes& part : Parts(vector)) {
      hasher.Add(part);
      hasher512.Add(part);
    }
    EXPECT_EQ(hasher.Finish(), vector.Array<32>("digest"));
    EXPECT_EQ(hasher512.Finish512(), vector.Array<64>("digest512"));
  }
}

TEST(Hash, WhereAPartEndsMatters) {
  const auto text = [](const char* s) { return base::AsBytes(s); };
  EXPECT_NE(Hash("node", {text("ab"), text("c")}), Hash("node", {text("a"), text("bc")}));
  EXPECT_NE(Hash("node", {text("abc")}), Hash("node", {text("abc"), {}}));
  EXPECT_NE(Hash("node", {text("abc")}), Hash("nodea", {text("bc")}));
  EXPECT_NE(Hash("node", {}), KeyedHash(text("k"), "node", {}));
}

TEST(Hash, NumbersAreBigEndianParts) {
  const std::array<uint8_t, 8> bytes = {0, 1, 2, 3, 4, 5, 6, 7};
  EXPECT_EQ(Hasher("loc").AddU64(0x0001020304050607).Finish(), Hash("loc", {bytes}));
}

TEST(HashDeathTest, TheDigestSizeIsChosenOnce) {
  EXPECT_DEATH(Hasher("node").Finish512(), "internal error");
  EXPECT_DEATH(Hasher("node", {}, 64).Finish(), "internal error");
}

}  // namespace
}  // namespace keys
