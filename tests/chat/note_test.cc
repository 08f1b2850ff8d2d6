// SPDX-License-Identifier: Apache-2.0
#include "chat/note.h"

#include <gtest/gtest.h>

#include "tests/support/seeded_rng.h"
#include "tests/support/status_matchers.h"

namespace chat {
namespace {

class NoteTest : public testing::Test {
 protected:
  std::vector<Fragment> Split(base::ByteView text, bool is_signed) {
    auto fragments = SplitNote(text, "local", reader_.public_key(), is_signed ? &writer_ : nullptr, now_, rng_);
    return fragments.ok() ? *fragments : std::vector<Fragment>();
  }
  base::Bytes Text(size_t size) {
    base::Bytes text(size);
    rng_.Fill(text);
    return text;
  }

  support::SeededRng rng_{11};
  const keys::SigningKey reader_ = keys::SigningKey::Generate(rng_), writer_ = keys::SigningKey::Generate(rng_);
  const absl::Time now_ = absl::FromUnixSeconds(1'795'000'000);
};

TEST_F(NoteTest, EveryLengthComesBackByteForByte) {
  for (const bool is_signed : {false, true}) {
    for (const size_t size : {0, 1, 1685, 1686, 1687, 1781, 1782, 1783, 3467, 3468, 3469, 3564, 3565, 9999, 16383, 16384}) {
      const base::Bytes text = Text(size);
      std::vector<Fragment> read;
      for (const Fragment& fragment : Split(text, is_signed)) {
        ASSERT_OK_AND_ASSIGN(const Fragment one, DecodeFragment(EncodeFragment(fragment)));
        EXPECT_EQ(one, fragment);
        read.push_back(one);
      }
      ASSERT_FALSE(read.empty());
      ASSERT_LE(read.size(), static_cast<size_t>(kFragmentsMax));
      ASSERT_OK_AND_ASSIGN(const Note note, JoinNote(read, "local", reader_.public_key()));
      EXPECT_EQ(note.text, text);
      EXPECT_EQ(note.sent_hour, 1'795'000'000u / 3600);
      EXPECT_EQ(note.sender.has_value(), is_signed);
    }
  }
}

TEST_F(NoteTest, MoreThanSixteenKibibytesAreRefused) {
  EXPECT_STATUS(SplitNote(Text(16385), "local", reader_.public_key(), nullptr, now_, rng_), kOutOfRange);
}

TEST_F(NoteTest, ASignatureCoversTextReaderNetworkAndNote) {
  std::vector<Fragment> fragments = Split(Text(4000), true);
  EXPECT_OK(JoinNote(fragments, "local", reader_.public_key()));
  EXPECT_STATUS(JoinNote(fragments, "other", reader_.public_key()), kUnauthenticated);
  EXPECT_STATUS(JoinNote(fragments, "local", writer_.public_key()), kUnauthenticated);
  std::vector<Fragment> altered = fragments;
  altered[2].text[0] ^= 1;
  EXPECT_STATUS(JoinNote(altered, "local", reader_.public_key()), kUnauthenticated);
  altered = fragments;
  for (Fragment& fragment : altered) fragment.note_id[0] ^= 1;
  EXPECT_STATUS(JoinNote(altered, "local", reader_.public_key()), kUnauthenticated);
  altered = fragments;
  altered[0].sender->identity = reader_.public_key();
  EXPECT_STATUS(JoinNote(altered, "local", reader_.public_key()), kUnauthenticated);
}

TEST_F(NoteTest, AnAnonymousNoteHoldsNothingOfItsSender) {
  const base::Bytes plain = EncodeFragment(Split(Text(0), false)[0]);
  for (size_t i = kFragmentHeaderSize; i < plain.size(); ++i) EXPECT_EQ(plain[i], 0);
}

TEST_F(NoteTest, FragmentsThatNobodyWritesAreRefused) {
  const base::Bytes good = EncodeFragment(Split(Text(100), false)[0]);
  EXPECT_OK(DecodeFragment(good));
  const auto with = [&](size_t offset, uint8_t value) {
    base::Bytes bytes = good;
    bytes[offset] = value;
    return DecodeFragment(bytes);
  };
  EXPECT_STATUS(with(16, 1), kInvalidArgument);   // index beyond count
  EXPECT_STATUS(with(17, 0), kInvalidArgument);   // no fragments at all
  EXPECT_STATUS(with(17, 13), kInvalidArgument);  // too many
  EXPECT_STATUS(with(17, 2), kInvalidArgument);   // the first of two is not full
  EXPECT_STATUS(with(18, 7), kInvalidArgument);   // longer than the fragment
  EXPECT_STATUS(with(24, 0), kInvalidArgument);
  EXPECT_STATUS(with(kPlainSize - 1, 1), kInvalidArgument);  // padding
  EXPECT_STATUS(with(kFragmentHeaderSize + 100, 1), kInvalidArgument);
  EXPECT_STATUS(DecodeFragment(base::ByteView(good).first(100)), kInvalidArgument);
}

TEST_F(NoteTest, DecodingAnyBytesNeverFailsBadlyAndReencodesAlike) {
  for (int i = 0; i < 20000; ++i) {
    base::Bytes bytes = EncodeFragment(Split(Text(rng_.Below(2000)), rng_.Below(2) == 0)[0]);
    for (int flips = 0; flips < 3; ++flips)
      bytes[rng_.Below(i % 2 == 0 ? 130 : bytes.size())] = static_cast<uint8_t>(rng_.Below(256));
    const auto fragment = DecodeFragment(bytes);
    if (fragment.ok()) {
      EXPECT_EQ(EncodeFragment(*fragment), bytes);
    }
  }
}

}  // namespace
}  // namespace chat
