// SPDX-License-Identifier: Apache-2.0
#include "keys/hpolyc.h"

#include <bit>
#include <thread>

#include "tests/keys/vector_file.h"
#include "tests/support/seeded_rng.h"

namespace keys {
namespace {

base::Bytes RandomBytes(size_t size, uint64_t seed) {
  support::SeededRng rng(seed);
  base::Bytes bytes(size);
  rng.Fill(bytes);
  return bytes;
}

int DifferingBits(base::ByteView a, base::ByteView b) {
  int bits = 0;
  for (size_t i = 0; i < a.size(); ++i) bits += std::popcount(static_cast<uint8_t>(a[i] ^ b[i]));
  return bits;
}

void ExpectVector(const support::Vector& vector) {
  const base::Bytes tweak = vector.Hex("tweak"), plaintext = vector.Hex("plaintext"), ciphertext = vector.Hex("ciphertext");
  const HPolyC cipher(vector.Array<32>("key"));
  base::Bytes message = plaintext;
  cipher.Encrypt(tweak, message);
  EXPECT_EQ(message, ciphertext);
  cipher.Decrypt(tweak, message);
  EXPECT_EQ(message, plaintext);
}

TEST(HPolyC, AgreesWithItsAuthorsVectors) {
  const std::vector<support::Vector> vectors = support::ReadVectors("hpolyc_xchacha20_aes256.json");
  EXPECT_EQ(vectors.size(), 180u);
  for (const support::Vector& vector : vectors) ExpectVector(vector);
}

TEST(HPolyC, AgreesWithTheReferenceAtTheSizeOfACellBody) {
  const std::vector<support::Vector> vectors = support::ReadVectors("hpolyc_cell.json");
  EXPECT_EQ(vectors.front().Hex("plaintext").size(), 2040u);
  EXPECT_EQ(vectors.front().Hex("tweak").size(), 32u);
  for (const support::Vector& vector : vectors) ExpectVector(vector);
}

TEST(HPolyC, AFlippedBitAnywhereGarblesTheWholeBlock) {
  const HPolyC cipher(support::SeededRng(1).Array<32>());
  const base::Bytes tweak = RandomBytes(32, 2), plaintext = RandomBytes(2040, 3);
  base::Bytes ciphertext = plaintext;
  cipher.Encrypt(tweak, ciphertext);
  for (size_t i = 0; i < ciphertext.size(); ++i) {
    base::Bytes flipped = ciphertext;
    flipped[i] ^= static_cast<uint8_t>(1 << (i % 8));
    cipher.Decrypt(tweak, flipped);
    const int bits = DifferingBits(flipped, plaintext);  // half of 16,320; nine standard deviations are 575
    ASSERT_GT(bits, 8160 - 575) << i;
    ASSERT_LT(bits, 8160 + 575) << i;
    ASSERT_GT(DifferingBits(base::ByteView(flipped).first(16), base::ByteView(plaintext).first(16)), 16) << i;
  }
}

TEST(HPolyC, AnotherTweakGivesAnotherPermutation) {
  const HPolyC cipher(support::SeededRng(1).Array<32>());
  const base::Bytes tweak = RandomBytes(32, 2), plaintext = RandomBytes(2040, 3);
  for (size_t i = 0; i < tweak.size(); ++i) {
    base::Bytes message = plaintext, other = tweak;
    other[i] ^= 1;
    cipher.Encrypt(tweak, message);
    cipher.Decrypt(other, message);
    ASSERT_GT(DifferingBits(message, plaintext), 8160 - 575) << i;
  }
}

TEST(HPolyC, ObjectsOnManyThreadsDoNotDisturbEachOther) {
  std::vector<std::thread> threads;
  std::vector<int> right(4);
  for (size_t t = 0; t < right.size(); ++t) {
    threads.emplace_back([t, &right] {
      const HPolyC cipher(support::SeededRng(t).Array<32>());
      const base::Bytes tweak = RandomBytes(32, t), plaintext = RandomBytes(2040, t);
      for (int i = 0; i < 500; ++i) {
        base::Bytes message = plaintext;
        cipher.Encrypt(tweak, message);
        cipher.Decrypt(tweak, message);
        right[t] += message == plaintext;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, std::vector<int>(4, 500));
}

TEST(HPolyC, AMovedCipherIsTheSameCipher) {
  HPolyC first(support::SeededRng(1).Array<32>());
  base::Bytes message = RandomBytes(64, 3);
  const base::Bytes plaintext = message;
  first.Encrypt({}, message);
  const HPolyC second(std::move(first));
  second.Decrypt({}, message);
  EXPECT_EQ(message, plaintext);
}

}  // namespace
}  // namespace keys
