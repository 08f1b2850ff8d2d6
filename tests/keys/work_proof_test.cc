// SPDX-License-Identifier: Apache-2.0
#include "keys/work_proof.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string_view>

#include "tests/support/seeded_rng.h"

namespace keys {
namespace {

Digest DigestOf(std::string_view text) {
  Digest digest{};
  std::copy(text.begin(), text.end(), digest.begin());
  return digest;
}
WorkProof ProofOf(std::string_view text) {
  WorkProof proof{};
  std::copy(text.begin(), text.end(), proof.begin());
  return proof;
}
WorkProof Find(const Digest& challenge, uint32_t effort, base::Rng& rng) {
  WorkSearch search(challenge, effort, rng);
  while (true) {
    if (const auto proof = search.Advance()) return *proof;
  }
}

// The tag of these bytes is 06cb29e6b6e834f9..., says the reference implementation of Argon2:
//   printf 'challenge of thirty-two bytes ok' | argon2 0008392000000023 -id -t 1 -k 1024 -p 1 -l 32 -r
// and 2^64 - 1 divided by its first 8 bytes is 37.7; 00083920 passes the filter by Python's hashlib.blake2b.
TEST(WorkProof, AgreesWithTheReferenceImplementation) {
  const Digest challenge = DigestOf("challenge of thirty-two bytes ok");
  EXPECT_TRUE(VerifyWork(challenge, 1, ProofOf("0008392000000023")));
  EXPECT_TRUE(VerifyWork(challenge, 37, ProofOf("0008392000000023")));
  EXPECT_FALSE(VerifyWork(challenge, 38, ProofOf("0008392000000023")));
  EXPECT_FALSE(VerifyWork(challenge, 1, ProofOf("0008392100000023"))) << "not through the filter";
}

TEST(WorkProof, WhatIsFoundIsGoodForItsChallengeOnly) {
  support::SeededRng rng(5);
  for (const uint32_t effort : {1u, 2u, 20u}) {
    const Digest challenge = rng.Array<32>();
    const WorkProof proof = Find(challenge, effort, rng);
    EXPECT_TRUE(VerifyWork(challenge, effort, proof));
    Digest other = challenge;
    other[7] ^= 1;
    EXPECT_FALSE(VerifyWork(other, effort, proof));
    EXPECT_FALSE(VerifyWork(challenge, UINT32_MAX, proof));
  }
}

// A search for a greater effort takes more tries, in proportion; the mean of 16 is within a factor of two but once in 500.
TEST(WorkProof, EffortIsTheMeanNumberOfTries) {
  support::SeededRng rng(6);
  constexpr uint32_t kEffort = 50;
  constexpr int kSearches = 16;
  int tries = 0;
  for (int i = 0; i < kSearches; ++i) {
    const Digest challenge = rng.Array<32>();
    const WorkProof filtered = Find(challenge, 1, rng);
    for (uint64_t number = 0;; ++number) {
      WorkProof proof = filtered;
      for (size_t byte = 0; byte < 8; ++byte) proof[8 + byte] = static_cast<uint8_t>(number >> 8 * byte);
      ++tries;
      if (VerifyWork(challenge, kEffort, proof)) break;
    }
  }
  EXPECT_GT(tries, kSearches * static_cast<int>(kEffort) / 2);
  EXPECT_LT(tries, kSearches * static_cast<int>(kEffort) * 2);
}

}  // namespace
}  // namespace keys
