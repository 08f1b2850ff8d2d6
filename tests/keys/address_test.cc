// SPDX-License-Identifier: Apache-2.0
#include "keys/address.h"

#include "absl/strings/ascii.h"
#include "keys/bech32m.h"
#include "tests/keys/vector_file.h"
#include "tests/support/seeded_rng.h"
#include "tests/support/status_matchers.h"

namespace keys {
namespace {

constexpr char kAddress[] = "bulb1qrljgwej0tm7m8ywut29rkk5q36hh4mapkq5wa2rxrqtkqdgrvpu2r384zh";

std::string Why(const std::string& text) {
  const absl::Status status = ParseAddress(text).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  return std::string(status.message());
}

// BIP 350, "Test vectors for Bech32m": those whose data is whole bytes, and how many.
TEST(Bech32m, AgreesWithBip350) {
  const struct {
    std::string prefix, text;
    size_t data_size;
  } vectors[] = {{"a", "a1lqfn3a", 0},
                 {"an83characterlonghumanreadablepartthatcontainsthetheexcludedcharactersbioandnumber1",
                  "an83characterlonghumanreadablepartthatcontainsthetheexcludedcharactersbioandnumber11sg7hg6", 0},
                 {"abcdef", "abcdef1l7aum6echk45nj3s0wdvt2fg8x9yrzpqzd3ryx", 20},
                 {"split", "split1checkupstagehandshakeupstreamerranterredcaperredlc445v", 30},
                 {"?", "?1v759aa", 0},
                 {"bc", "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0", 33}};
  for (const auto& vector : vectors) {
    ASSERT_OK_AND_ASSIGN(const base::Bytes data, DecodeBech32m(vector.prefix, vector.data_size, vector.text));
    EXPECT_EQ(EncodeBech32m(vector.prefix, data), vector.text);
    EXPECT_OK(DecodeBech32m(vector.prefix, vector.data_size, absl::AsciiStrToUpper(vector.text)));
  }
}

TEST(Bech32m, TheOlderChecksumIsRefused) {  // BIP 173: valid as bech32
  EXPECT_STATUS(DecodeBech32m("a", 0, "a12uel5l"), kInvalidArgument);
  EXPECT_STATUS(DecodeBech32m("split", 30, "split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w"), kInvalidArgument);
}

TEST(Bech32m, FilledBitsMustBeZero) {  // BIP 350: 82 groups of ones, the last of which ends in the middle of a byte
  const std::string text = "11" + std::string(82, 'l') + "ludsr8";
  EXPECT_EQ(DecodeBech32m("1", 51, text).status().message(), "its last data character is impossible");
}

TEST(Address, AgreesWithTheReference) {
  for (const support::Vector& vector : support::ReadVectors("addresses.json")) {
    const PublicKey identity{vector.Array<32>("public_key")};
    EXPECT_EQ(FormatAddress(identity), vector.Text("address"));
    EXPECT_EQ(FormatAddress(identity).size(), 64u);
    ASSERT_OK_AND_ASSIGN(const PublicKey parsed, ParseAddress(vector.Text("address")));
    EXPECT_EQ(parsed, identity);

    const SigningKey key{Secret<32>(vector.Hex("seed"))};
    EXPECT_EQ(FormatSecretKey(key), vector.Text("secret"));
    ASSERT_OK_AND_ASSIGN(const SigningKey parsed_key, ParseSecretKey(vector.Text("secret")));
    EXPECT_EQ(parsed_key.public_key(), identity);
  }
}

TEST(Address, CaseAndSurroundingSpaceDoNotMatter) {
  ASSERT_OK_AND_ASSIGN(const PublicKey identity, ParseAddress(kAddress));
  for (const std::string& text : {absl::AsciiStrToUpper(kAddress), std::string(kAddress) + "\n", "  " + std::string(kAddress)}) {
    ASSERT_OK_AND_ASSIGN(const PublicKey other, ParseAddress(text));
    EXPECT_EQ(other, identity);
  }
}

TEST(Address, EachMistakeIsNamed) {
  const std::string address = kAddress;
  EXPECT_EQ(Why(address.substr(0, 63) + "i"), "character 64: \"i\" is never used in addresses");
  EXPECT_EQ(Why(address.substr(0, 20) + "\x1b" + address.substr(21)), "character 21 is never used in addresses");
  EXPECT_EQ(Why(address.substr(0, 63)), "it has 63 characters, not 64");
  EXPECT_EQ(Why(address + "q"), "it has 65 characters, not 64");
  EXPECT_EQ(Why("B" + address.substr(1)), "upper and lower case are mixed");
  EXPECT_EQ(Why("bob"), "it does not begin with \"bulb1\"");
  EXPECT_EQ(Why(""), "it does not begin with \"bulb1\"");
}

TEST(Address, AnySingleWrongCharacterIsFound) {
  for (size_t i = 5; i < 64; ++i) {
    std::string changed = kAddress;
    changed[i] = changed[i] == 'q' ? 'p' : 'q';
    EXPECT_EQ(Why(changed), "the checksum does not match: character " + std::to_string(i + 1) + " is probably wrong");
  }
}

TEST(Address, TwoWrongCharactersAreRefusedWithoutAPlace) {
  std::string changed = kAddress;
  std::swap(changed[10], changed[30]);
  EXPECT_EQ(Why(changed), "the checksum does not match: several characters are wrong");
}

TEST(Address, OtherVersionsAndKeysThatAreNoPointsAreRefused) {
  base::Bytes data(33);
  data[0] = 1;
  EXPECT_EQ(Why(EncodeBech32m("bulb", data)), "it is of version 1, which this program does not know");
  data[0] = 0;
  EXPECT_EQ(Why(EncodeBech32m("bulb", data)), "no key can have this address");
}

TEST(Address, ASecretKeyIsToldApart) {
  support::SeededRng rng(1);
  const std::string secret = FormatSecretKey(SigningKey::Generate(rng));
  EXPECT_EQ(secret.rfind("BULB-SECRET-KEY-1", 0), 0u);
  EXPECT_STATUS(ParseAddress(secret), kPermissionDenied);
  EXPECT_STATUS(ParseAddress(absl::AsciiStrToLower(secret)), kPermissionDenied);
  EXPECT_STATUS(ParseAddress(secret.substr(0, 40)), kPermissionDenied);
  EXPECT_STATUS(ParseSecretKey(kAddress), kInvalidArgument);
  EXPECT_STATUS(ParseSecretKey(secret.substr(0, 40)), kInvalidArgument);
}

}  // namespace
}  // namespace keys
