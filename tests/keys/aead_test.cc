// SPDX-License-Identifier: Apache-2.0
#include "keys/aead.h"

#include "tests/keys/vector_file.h"
#include "tests/support/seeded_rng.h"
#include "tests/support/status_matchers.h"

namespace keys {
namespace {

std::array<uint8_t, 32> CountingKey() {
  std::array<uint8_t, 32> key;
  for (size_t i = 0; i < key.size(); ++i) key[i] = static_cast<uint8_t>(0x80 + i);
  return key;
}

// draft-irtf-cfrg-xchacha-03, appendix A.3.1.
TEST(Aead, AgreesWithTheDraft) {
  SealNonce nonce;
  for (size_t i = 0; i < nonce.size(); ++i) nonce[i] = static_cast<uint8_t>(0x40 + i);
  const base::Bytes associated = base::FromHex("50515253c0c1c2c3c4c5c6c7").value();
  const std::string plaintext =
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";
  const std::string sealed =
      "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e12"
      "13b452"
      "2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff921f9664c97637da9768812f615c68b13b52e"
      "c0875924c1c7987947deafd8780acf49";
  EXPECT_EQ(base::ToHex(Seal(CountingKey(), nonce, associated, base::AsBytes(plaintext))), sealed);
  ASSERT_OK_AND_ASSIGN(const base::Bytes opened, Open(CountingKey(), nonce, associated, base::FromHex(sealed).value()));
  EXPECT_EQ(base::ToString(opened), plaintext);
}

TEST(Aead, WhateverIsWrongTheAnswerIsTheSame) {
  const SealNonce nonce{};
  const base::Bytes sealed = Seal(CountingKey(), nonce, base::AsBytes("ad"), base::AsBytes("text"));
  const absl::Status refused = Open(CountingKey(), nonce, base::AsBytes("AD"), sealed).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnauthenticated);
  for (size_t bit = 0; bit < sealed.size() * 8; ++bit) {
    base::Bytes flipped = sealed;
    flipped[bit / 8] ^= static_cast<uint8_t>(1 << (bit % 8));
    ASSERT_EQ(Open(CountingKey(), nonce, base::AsBytes("ad"), flipped).status(), refused) << bit;
  }
  for (size_t size = 0; size < sealed.size(); ++size) {
    ASSERT_EQ(Open(CountingKey(), nonce, base::AsBytes("ad"), base::ByteView(sealed).first(size)).status(), refused) << size;
  }
  EXPECT_EQ(Open(std::array<uint8_t, 32>{}, nonce, base::AsBytes("ad"), sealed).status(), refused);
  EXPECT_EQ(Open(CountingKey(), SealNonce{1}, base::AsBytes("ad"), sealed).status(), refused);
}

TEST(Aead, EmptyTextsHaveASealToo) {
  const base::Bytes sealed = Seal(CountingKey(), SealNonce{}, {}, {});
  EXPECT_EQ(sealed.size(), kSealOverhead);
  ASSERT_OK_AND_ASSIGN(const base::Bytes opened, Open(CountingKey(), SealNonce{}, {}, sealed));
  EXPECT_TRUE(opened.empty());
}

}  // namespace
}  // namespace keys
