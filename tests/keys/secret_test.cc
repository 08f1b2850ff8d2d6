// SPDX-License-Identifier: Apache-2.0
#include "keys/secret.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <new>
#include <type_traits>
#include <vector>

#include "keys/system_rng.h"
#include "tests/support/seeded_rng.h"

namespace keys {
namespace {

TEST(Secret, MovesAndClonesButIsNeverCopiedInSilence) {
  static_assert(!std::is_copy_constructible_v<Secret<32>> && std::is_nothrow_move_constructible_v<Secret<32>>);
  support::SeededRng rng(1);
  Secret<32> first = Secret<32>::Random(rng);
  const Secret<32> clone = first.Clone();
  const Secret<32> moved = std::move(first);
  EXPECT_TRUE(ConstantTimeEqual(clone.view(), moved.view()));
  EXPECT_NE(clone.view().data(), moved.view().data());
}

TEST(Secret, StartsAsZeros) {
  const SecretBytes secret(100);
  EXPECT_EQ(base::ToBytes(secret.view()), base::Bytes(100));
}

TEST(Secret, ThousandsFitUnderTheUsualLimits) {
  support::SeededRng rng(1);
  std::vector<Secret<32>> secrets;
  for (int i = 0; i < 50'000; ++i) secrets.push_back(Secret<32>::Random(rng));
  support::SeededRng again(1);
  for (const Secret<32>& secret : secrets) ASSERT_TRUE(ConstantTimeEqual(secret.view(), again.Array<32>()));
}

TEST(Secret, AFreedOneLeavesNothingForTheNext) {
  support::SeededRng rng(1);
  for (int i = 0; i < 3; ++i) Secret<32>::Random(rng);
  const Secret<32> next;
  EXPECT_EQ(base::ToBytes(next.view()), base::Bytes(32));
}

TEST(SecretDeathTest, ReadingPastTheEndEndsTheProcess) {
  EXPECT_DEATH(
      {
        SecretBytes secret(100);
        volatile uint8_t byte = secret.view().data()[100];
        (void)byte;
      },
      "");
}

TEST(WipedArray, LeavesZerosBehind) {
  alignas(WipedArray<32>) uint8_t memory[sizeof(WipedArray<32>)];
  support::SeededRng rng(1);
  auto* array = new (memory) WipedArray<32>(rng.Array<32>());
  array->~WipedArray();
  const volatile uint8_t* left = memory;
  int nonzero = 0;
  for (size_t i = 0; i < sizeof memory; ++i) nonzero += left[i] != 0;
  EXPECT_EQ(nonzero, 0);
}

TEST(ConstantTimeEqual, ComparesBytesAndLength) {
  EXPECT_TRUE(ConstantTimeEqual({}, {}));
  EXPECT_TRUE(ConstantTimeEqual(base::AsBytes("same"), base::AsBytes("same")));
  EXPECT_FALSE(ConstantTimeEqual(base::AsBytes("same"), base::AsBytes("sane")));
  EXPECT_FALSE(ConstantTimeEqual(base::AsBytes("same"), base::AsBytes("sam")));
}

TEST(InitCrypto, ForbidsCoreDumps) {
  rlimit limit;
  ASSERT_EQ(getrlimit(RLIMIT_CORE, &limit), 0);
  EXPECT_EQ(limit.rlim_cur, 0u);
  EXPECT_EQ(prctl(PR_GET_DUMPABLE), 0);
}

TEST(SystemRng, NeverRepeatsItself) {
  SystemRng rng;
  EXPECT_NE(rng.Array<32>(), rng.Array<32>());
}

}  // namespace
}  // namespace keys
