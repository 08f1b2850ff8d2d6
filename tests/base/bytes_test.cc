// SPDX-License-Identifier: Apache-2.0
#include "base/bytes.h"

#include <gtest/gtest.h>

#include "base/byte_reader.h"
#include "base/byte_writer.h"
#include "tests/support/seeded_rng.h"

namespace base {
namespace {

TEST(Hex, ComesBackAndRefusesTheRest) {
  EXPECT_EQ(ToHex(Bytes{0x00, 0x0f, 0xa0, 0xff}), "000fa0ff");
  EXPECT_EQ(FromHex("000FA0ff"), (Bytes{0x00, 0x0f, 0xa0, 0xff}));
  EXPECT_FALSE(FromHex("abc"));
  EXPECT_FALSE(FromHex("0g"));
  EXPECT_FALSE(FromHex(" 0"));
}

TEST(ByteReader, ReadsWhatByteWriterWrote) {
  const Bytes bytes =
      ByteWriter().U8(1).U16(0x0203).U32(0x04050607).U64(0x08090a0b0c0d0e0full).Short(AsBytes("ab")).Long(AsBytes("cde")).Take();
  EXPECT_EQ(ToHex(ByteView(bytes).first(15)), "0102030405060708090a0b0c0d0e0f");
  ByteReader reader(bytes);
  EXPECT_EQ(reader.U8(), 1);
  EXPECT_EQ(reader.U16(), 0x0203);
  EXPECT_EQ(reader.U32(), 0x04050607u);
  EXPECT_EQ(reader.U64(), 0x08090a0b0c0d0e0full);
  EXPECT_EQ(AsText(reader.Short()), "ab");
  EXPECT_EQ(AsText(reader.Long()), "cde");
  EXPECT_TRUE(reader.Done());
}

TEST(ByteReader, NeverReadsPastTheEndAndStaysFailed) {
  const Bytes bytes = {5, 1, 2};
  ByteReader reader(bytes);
  EXPECT_TRUE(reader.Short().empty());  // says five, has two
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.U8(), 0);
  EXPECT_FALSE(reader.Done());
  ByteReader shorter(bytes);
  EXPECT_EQ(shorter.U64(), 0u);
  EXPECT_FALSE(shorter.ok());
}

TEST(ByteReader, LeftoversAreNotDone) {
  const Bytes bytes = {1, 2};
  ByteReader reader(bytes);
  reader.U8();
  EXPECT_TRUE(reader.ok());
  EXPECT_FALSE(reader.Done());
  EXPECT_EQ(reader.left(), 1u);
}

TEST(Rng, BelowIsInsideItsBoundAndFair) {
  support::SeededRng rng(3);
  int counts[6] = {};
  for (int i = 0; i < 60000; ++i) ++counts[rng.Below(6)];
  for (int count : counts) EXPECT_NEAR(count, 10000, 500);
  EXPECT_EQ(rng.Below(1), 0u);
  for (int i = 0; i < 1000; ++i) {
    const double unit = rng.Unit();
    EXPECT_GE(unit, 0);
    EXPECT_LT(unit, 1);
  }
}

}  // namespace
}  // namespace base
