// SPDX-License-Identifier: Apache-2.0
#include "keys/identity.h"

#include <sodium.h>

#include "keys/x25519.h"
#include "tests/keys/vector_file.h"
#include "tests/support/seeded_rng.h"
#include "tests/support/status_matchers.h"

namespace keys {
namespace {

template <size_t N = 32>
std::array<uint8_t, N> Hex(const std::string& hex) {
  const base::Bytes bytes = base::FromHex(hex).value();
  std::array<uint8_t, N> array{};
  EXPECT_EQ(bytes.size(), N);
  std::copy(bytes.begin(), bytes.end(), array.begin());
  return array;
}

struct Rfc8032 {
  std::string seed, public_key, message, signature;
};
// RFC 8032, section 7.1: tests 1 to 3.
const Rfc8032 kRfc8032[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7"
     "a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612b"
     "b0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1"
     "ec40a"},
};

TEST(Identity, SignsAsRfc8032Does) {
  for (const Rfc8032& vector : kRfc8032) {
    const SigningKey key{Secret<32>(Hex(vector.seed))};
    const base::Bytes message = base::FromHex(vector.message).value();
    EXPECT_EQ(key.public_key().bytes, Hex(vector.public_key));
    EXPECT_EQ(key.Sign(message), Hex<64>(vector.signature));
    EXPECT_TRUE(Verify(key.public_key(), message, key.Sign(message)));
  }
}

TEST(Identity, AnyFlippedBitOfASignatureIsRefused) {
  support::SeededRng rng(1);
  const SigningKey key = SigningKey::Generate(rng);
  const Signature signature = key.Sign(base::AsBytes("text"));
  for (size_t bit = 0; bit < 512; ++bit) {
    Signature flipped = signature;
    flipped[bit / 8] ^= static_cast<uint8_t>(1 << (bit % 8));
    ASSERT_FALSE(Verify(key.public_key(), base::AsBytes("text"), flipped)) << bit;
  }
  EXPECT_FALSE(Verify(key.public_key(), base::AsBytes("texu"), signature));
}

// With a public key of small order, R = G·S and any message would pass a careless verifier.
TEST(Identity, SmallOrderKeysVerifyNothing) {
  PublicKey neutral;
  neutral.bytes[0] = 1;
  Signature forged{};
  forged[0] = 1;
  EXPECT_FALSE(Verify(neutral, base::AsBytes("text"), forged));
  EXPECT_FALSE(Verify(PublicKey{}, base::AsBytes("text"), forged));
  EXPECT_STATUS(ToX25519(neutral), kInvalidArgument);
}

TEST(Identity, ACloneIsTheSameKey) {
  support::SeededRng rng(1);
  const SigningKey key = SigningKey::Generate(rng);
  const SigningKey clone = key.Clone();
  EXPECT_EQ(clone.public_key(), key.public_key());
  EXPECT_EQ(clone.Sign(base::AsBytes("x")), key.Sign(base::AsBytes("x")));
}

TEST(Identity, BothHalvesOfTheX25519TwinBelongTogether) {
  support::SeededRng rng(1);
  const SigningKey key = SigningKey::Generate(rng);
  const X25519KeyPair other = X25519KeyPair::Generate(rng);
  ASSERT_OK_AND_ASSIGN(const X25519Public twin, ToX25519(key.public_key()));
  ASSERT_OK_AND_ASSIGN(const WipedArray<32> sealed, X25519(other.secret_key.view(), twin));
  ASSERT_OK_AND_ASSIGN(const WipedArray<32> opened, X25519(ToX25519(key).view(), other.public_key));
  EXPECT_TRUE(ConstantTimeEqual(sealed.view(), opened.view()));
}

TEST(X25519, AgreesWithRfc7748) {
  const struct {
    std::string scalar, point, result;
  } vectors[] = {{"a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
                  "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
                  "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"},
                 {"4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
                  "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
                  "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"}};
  for (const auto& vector : vectors) {
    ASSERT_OK_AND_ASSIGN(const WipedArray<32> result, X25519(Hex(vector.scalar), Hex(vector.point)));
    EXPECT_EQ(base::ToHex(result.view()), vector.result);
  }
}

// Every X25519 input whose result would be zero whatever the secret key (orders 1, 2, 4 and 8, and their encodings above p).
TEST(X25519, DegeneratePointsAreRefused) {
  support::SeededRng rng(1);
  const X25519KeyPair pair = X25519KeyPair::Generate(rng);
  for (const char* point : {"0000000000000000000000000000000000000000000000000000000000000000",
                            "0100000000000000000000000000000000000000000000000000000000000000",
                            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
                            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
                            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"}) {
    EXPECT_STATUS(X25519(pair.secret_key.view(), Hex(point)), kUnauthenticated) << point;
  }
}

// Two ways to one point: over the Edwards curve, and libsodium's own.
TEST(X25519, PublicKeysAreThoseOfTheMontgomeryLadder) {
  support::SeededRng rng(25);
  std::vector<std::array<uint8_t, 32>> secrets(2);
  secrets[1].fill(0xff);
  while (secrets.size() < 500) secrets.push_back(rng.Array<32>());
  for (const auto& secret : secrets) {
    X25519Public expected;
    ASSERT_EQ(crypto_scalarmult_base(expected.data(), secret.data()), 0);
    EXPECT_EQ(X25519KeyPair::FromSecret(secret).public_key, expected);
  }
}

}  // namespace
}  // namespace keys
