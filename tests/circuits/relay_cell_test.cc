// SPDX-License-Identifier: Apache-2.0
#include "circuits/relay_cell.h"

#include "tests/support/seeded_rng.h"
#include "tests/support/status_matchers.h"

namespace circuits {
namespace {

using Body = std::array<uint8_t, overlay::kCellBodySize>;

Body Encoded(RelayCommand command, base::Bytes payload, uint64_t seed = 1) {
  support::SeededRng rng(seed);
  Body body;
  EncodeRelayCell(command, payload, rng, body);
  return body;
}

TEST(RelayCell, ComesBackAsItWasEncoded) {
  support::SeededRng rng(7);
  for (size_t size : {size_t{0}, size_t{1}, size_t{1999}, kRelayPayloadMax}) {
    base::Bytes payload(size);
    rng.Fill(payload);
    ASSERT_OK_AND_ASSIGN(const RelayCell cell, DecodeRelayCell(Encoded(RelayCommand::kAnswer, payload)));
    EXPECT_EQ(cell.command, RelayCommand::kAnswer);
    EXPECT_EQ(cell.payload, payload);
  }
}

TEST(RelayCell, FillsWhatIsUnusedWithRandomness) {
  const Body one = Encoded(RelayCommand::kTable, {0}, 1), other = Encoded(RelayCommand::kTable, {0}, 2);
  EXPECT_EQ(one[kRelayHeaderSize], other[kRelayHeaderSize]);
  EXPECT_FALSE(std::equal(one.begin() + kRelayHeaderSize + 1, one.end(), other.begin() + kRelayHeaderSize + 1));
  EXPECT_NE(TailOf(one), TailOf(other));
}

TEST(RelayCell, RefusesEveryHeaderBitThatIsNotItsOwn) {
  const Body good = Encoded(RelayCommand::kRequest, base::Bytes(5, 9));
  for (size_t bit = 0; bit < kRelayHeaderSize * 8; ++bit) {
    Body body = good;
    body[bit / 8] ^= static_cast<uint8_t>(1 << (bit % 8));
    const absl::StatusOr<RelayCell> cell = DecodeRelayCell(body);
    const bool command_byte = bit / 8 == 16, length = bit / 8 == 20 || bit / 8 == 21;
    if (!command_byte && !length) {
      EXPECT_FALSE(cell.ok()) << "bit " << bit;
    } else if (cell.ok()) {
      EXPECT_LE(cell->payload.size(), kRelayPayloadMax);
    }
  }
}

TEST(RelayCell, TablesOfAllSizesSurviveTheirParts) {
  support::SeededRng rng(3);
  for (size_t size : {size_t{1}, kTablePartMax - 1, kTablePartMax, kTablePartMax + 1, 3 * kTablePartMax, overlay::kTableMax}) {
    base::Bytes table(size);
    rng.Fill(table);
    TableAssembly assembly;
    const std::vector<base::Bytes> parts = SplitTable(table);
    for (size_t i = 0; i < parts.size(); ++i) {
      ASSERT_OK_AND_ASSIGN(const bool whole, assembly.Add(parts[i]));
      EXPECT_EQ(whole, i + 1 == parts.size());
    }
    EXPECT_EQ(assembly.Take(), table);
  }
}

TEST(RelayCell, ATableThatIsNotThereIsOneEmptyPart) {
  TableAssembly assembly;
  const std::vector<base::Bytes> parts = SplitTable({});
  ASSERT_EQ(parts.size(), 1u);
  ASSERT_OK_AND_ASSIGN(const bool whole, assembly.Add(parts[0]));
  EXPECT_TRUE(whole);
  EXPECT_TRUE(assembly.Take().empty());
}

TEST(RelayCell, PartsOutOfPlaceAreRefused) {
  const std::vector<base::Bytes> parts = SplitTable(base::Bytes(3 * kTablePartMax, 1));
  TableAssembly skipped, repeated, shortened, endless, swollen;
  EXPECT_STATUS(skipped.Add(parts[1]), kInvalidArgument);
  ASSERT_OK(repeated.Add(parts[0]));
  EXPECT_STATUS(repeated.Add(parts[0]), kInvalidArgument);
  base::Bytes half = parts[0];
  half.pop_back();
  EXPECT_STATUS(shortened.Add(half), kInvalidArgument);
  base::Bytes many = parts[0];
  many[1] = kTablePartsMax + 1;
  EXPECT_STATUS(endless.Add(many), kInvalidArgument);
  ASSERT_OK(swollen.Add(parts[0]));
  base::Bytes other_count = parts[1];
  ++other_count[1];
  EXPECT_STATUS(swollen.Add(other_count), kInvalidArgument);
}

TEST(RelayCell, ExtendAndDescriptorQuestionsHaveOneShapeOnly) {
  const base::Bytes skin(keys::kOnionSkinSize, 1), descriptor(200, 2);
  ASSERT_OK_AND_ASSIGN(const ExtendRequest request, DecodeExtend(EncodeExtend(skin, descriptor)));
  EXPECT_EQ(request.onion_skin, skin);
  EXPECT_EQ(request.descriptor, descriptor);
  EXPECT_STATUS(DecodeExtend(skin), kInvalidArgument);
  EXPECT_STATUS(DecodeExtend(EncodeExtend(skin, base::Bytes(overlay::kDescriptorMax + 1))), kInvalidArgument);

  const std::vector<keys::PublicKey> node_keys(kDescriptorKeysMax, keys::PublicKey{{7}});
  ASSERT_OK_AND_ASSIGN(const auto decoded, DecodeDescriptorKeys(EncodeDescriptorKeys(node_keys)));
  EXPECT_EQ(decoded, node_keys);
  EXPECT_STATUS(DecodeDescriptorKeys({}), kInvalidArgument);
  EXPECT_STATUS(DecodeDescriptorKeys(base::Bytes(33)), kInvalidArgument);
  EXPECT_STATUS(DecodeDescriptorKeys(base::Bytes(32 * (kDescriptorKeysMax + 1))), kInvalidArgument);
}

TEST(RelayCell, AnyBytesAreDecodedOrRefused) {
  support::SeededRng rng(11);
  for (int i = 0; i < 20000; ++i) {
    Body body;
    rng.Fill(body);
    std::fill(body.begin(), body.begin() + 16, uint8_t{0});
    body[16] %= 12;
    if (i % 2 == 0) std::fill(body.begin() + 17, body.begin() + 20, uint8_t{0}), body[22] = body[23] = 0;
    const absl::StatusOr<RelayCell> cell = DecodeRelayCell(body);
    if (!cell.ok()) continue;
    TableAssembly assembly;
    assembly.Add(cell->payload).IgnoreError();
    DecodeExtend(cell->payload).status().IgnoreError();
    DecodeDescriptorKeys(cell->payload).status().IgnoreError();
    ASSERT_LE(cell->payload.size(), kRelayPayloadMax);
  }
}

}  // namespace
}  // namespace circuits
