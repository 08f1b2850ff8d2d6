// SPDX-License-Identifier: Apache-2.0
// Files between two people over a store that loses things: whole, once, resumed, refused, removed; long texts too.
#include "chat/file_transfer.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/chat/two_people.h"

namespace chat {
namespace {

using support::LossyOptions;
using support::LossyStore;
using support::Person;

base::Bytes SomeBytes(size_t size, uint64_t seed = 1) {
  support::SeededRng rng(seed);
  base::Bytes bytes(size);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(rng.Below(256));
  return bytes;
}

Content Piece(uint16_t index, uint16_t count, base::Bytes text) {
  Content piece;
  piece.kind = ContentKind::kPiece;
  piece.index = index;
  piece.count = count;
  piece.text = std::move(text);
  return piece;
}

TEST(IncomingFileTest, PiecesInAnyOrderMakeTheFileAndSurviveARestart) {
  const base::Bytes bytes = SomeBytes(3 * kBoxTextMax + 5);
  ASSERT_EQ(PiecesOf(bytes.size()), 5);
  IncomingFile file({}, 5);
  for (const uint16_t index : std::initializer_list<uint16_t>{4, 2, 0, 2, 1}) {
    ASSERT_OK_AND_ASSIGN(file, IncomingFile::Parse(file.Serialize()));
    file.Take(Piece(index, 5, PieceOf("map.png", bytes, index)), absl::UnixEpoch());
    EXPECT_FALSE(file.whole());
  }
  EXPECT_TRUE(file.Take(Piece(3, 5, PieceOf("map.png", bytes, 3)), absl::UnixEpoch()));
  ASSERT_TRUE(file.whole());
  EXPECT_EQ(file.info(), (FileInfo{"map.png", static_cast<uint32_t>(bytes.size()), 5}));
}

TEST(IncomingFileTest, WhatContradictsItIsNotTaken) {
  const base::Bytes full = SomeBytes(kBoxTextMax);
  IncomingFile file({}, 3);
  EXPECT_FALSE(file.Take(Piece(1, 4, full), absl::UnixEpoch())) << "another number of pieces";
  EXPECT_FALSE(file.Take(Piece(1, 3, SomeBytes(kBoxTextMax - 1)), absl::UnixEpoch())) << "a short one in the middle";
  EXPECT_FALSE(file.Take(Piece(2, 3, {}), absl::UnixEpoch())) << "an empty one at the end";
  EXPECT_FALSE(file.Take(Piece(0, 3, {}), absl::UnixEpoch())) << "no name";
  EXPECT_FALSE(file.Take(Piece(0, 3, base::Bytes(256, 'a')), absl::UnixEpoch())) << "too long a name";
  EXPECT_TRUE(file.Take(Piece(2, 3, {7}), absl::UnixEpoch()));
  EXPECT_FALSE(file.Take(Piece(2, 3, {8}), absl::UnixEpoch())) << "held already";
  EXPECT_EQ(file.have(), 1);
}

TEST(IncomingFileTest, DamagedStateIsRefused) {
  base::Bytes state = IncomingFile({}, 9).Serialize();
  state.push_back(0);
  EXPECT_STATUS(IncomingFile::Parse(state), kDataLoss);
  EXPECT_STATUS(IncomingFile::Parse(IncomingFile({}, 0).Serialize()), kDataLoss);
  EXPECT_STATUS(IncomingFile::Parse(IncomingFile({}, kFilePiecesMax + 1).Serialize()), kDataLoss);
}

TEST(PieceContentTest, OnlyPiecesMayBeManyAndOnlyBelowTheLimit) {
  Content piece = Piece(kFilePiecesMax - 1, kFilePiecesMax, {1});
  EXPECT_OK(DecodeContent(EncodeContent(piece, kBoxRoom)));
  piece.count = kFilePiecesMax + 1;
  EXPECT_STATUS(DecodeContent(EncodeContent(piece, kBoxRoom)), kInvalidArgument);
  piece.kind = ContentKind::kText;
  piece.count = kPartsMax + 1;
  piece.index = 0;
  EXPECT_STATUS(DecodeContent(EncodeContent(piece, kBoxRoom)), kInvalidArgument);
}

class FileTransferTest : public TwoPeopleTest {
 protected:
  using TwoPeopleTest::TwoPeopleTest;

  void Befriend() {
    MeetWithReceipts();
    ASSERT_OK(alice_.Send(bob_.address(), "hello", now_));
    RunBoth(4);
    ASSERT_EQ(bob_.shown.size(), 1u);
    bob_.shown.clear();
  }
  const Outgoing& OnlyFile(Person& person, const keys::PublicKey& to) {
    for (const auto& [number, message] : person.book().FindConversation(to)->outbox().messages()) {
      if (message.IsFile()) return message;
    }
    static const Outgoing none;
    return none;
  }
  void ExpectFile(Person& person, size_t at, const std::string& name, const base::Bytes& bytes) {
    ASSERT_LT(at, person.shown.size());
    ASSERT_TRUE(person.shown[at].file.has_value());
    EXPECT_EQ(person.shown[at].file->name, name);
    ASSERT_OK_AND_ASSIGN(const base::Bytes read, person.ReadFile(person.shown[at]));
    EXPECT_TRUE(read == bytes);
  }
};

TEST_F(FileTransferTest, AFileOfEveryOddSizeArrivesWholeAndOnce) {
  Befriend();
  size_t at = 0;
  for (const size_t size : {size_t{0}, size_t{1}, kBoxTextMax, kBoxTextMax + 1, size_t{200000}}) {
    const base::Bytes bytes = SomeBytes(size, size);
    ASSERT_OK_AND_ASSIGN(const MessageId id, alice_.SendFile(bob_.address(), "a file", bytes, now_));
    RunBoth(3);
    ExpectFile(bob_, at++, "a file", bytes);
    EXPECT_EQ(alice_.states[id].state, DeliveryState::kDelivered) << size;
    EXPECT_EQ(alice_.states[id].stored, alice_.states[id].pieces);
  }
  RunBoth(3);
  EXPECT_EQ(bob_.shown.size(), at);
  EXPECT_EQ(alice_.disk.Count('y'), 0u) << "bytes of what was delivered";
}

TEST_F(FileTransferTest, EightMegabytesAreTakenAndNotAByteMore) {
  Befriend();
  EXPECT_STATUS(alice_.SendFile(bob_.address(), "big", base::Bytes(kFileBytesMax + 1), now_), kOutOfRange);
  EXPECT_STATUS(alice_.SendFile(bob_.address(), "", {}, now_), kInvalidArgument);
  const base::Bytes bytes = SomeBytes(kFileBytesMax);
  ASSERT_OK(alice_.SendFile(bob_.address(), "big", bytes, now_));
  RunBoth(4);
  ASSERT_EQ(bob_.shown.size(), 1u);
  ExpectFile(bob_, 0, "big", bytes);
}

TEST_F(FileTransferTest, ATextGoesByAFileAndLongTextsKeepTheirOrder) {
  Befriend();
  ASSERT_OK(alice_.SendFile(bob_.address(), "big", SomeBytes(100000), now_));
  const std::string long_text(kTextMax, 'x');
  ASSERT_OK(alice_.Send(bob_.address(), long_text, now_));
  ASSERT_OK(alice_.Send(bob_.address(), "after it", now_));
  EXPECT_STATUS(alice_.Send(bob_.address(), long_text + "x", now_), kOutOfRange);
  RunBoth(3);
  ASSERT_EQ(bob_.shown.size(), 3u);
  EXPECT_EQ(bob_.shown[0].text, long_text);
  EXPECT_EQ(bob_.shown[1].text, "after it");
  EXPECT_TRUE(bob_.shown[2].file.has_value());
}

TEST_F(FileTransferTest, FourFilesWaitAndTheFifthIsNotTaken) {
  Befriend();
  for (size_t i = 0; i < kFilesWaitingMax; ++i) ASSERT_OK(alice_.SendFile(bob_.address(), "one", SomeBytes(10), now_));
  EXPECT_STATUS(alice_.SendFile(bob_.address(), "five", SomeBytes(10), now_), kResourceExhausted);
}

TEST_F(FileTransferTest, ProgressIsSaidAndSurvivesARestart) {
  Befriend();
  ASSERT_OK(alice_.SendFile(bob_.address(), "big", SomeBytes(300000), now_));
  alice_.disk.writes_left = 8;
  EXPECT_STATUS(alice_.Run(now_), kUnavailable);
  alice_.Restart(now_);
  const uint16_t before = OnlyFile(alice_, bob_.address()).PiecesStored();
  EXPECT_GT(before, 10);
  EXPECT_LT(before, 120);
  const uint64_t puts = store_.puts;
  EXPECT_OK(alice_.Run(now_));
  const Outgoing& file = OnlyFile(alice_, bob_.address());
  EXPECT_EQ(file.state, DeliveryState::kStored);
  EXPECT_EQ(file.PiecesStored(), file.pieces);
  EXPECT_LE(store_.puts - puts, file.pieces - before + 30u) << "what was stored is not put again";
}

TEST_F(FileTransferTest, AReaderThatLostItsMachineGetsTheFileFromItsBeginning) {
  Befriend();
  const base::Bytes bytes = SomeBytes(300000);
  ASSERT_OK(alice_.SendFile(bob_.address(), "big", bytes, now_));
  alice_.disk.writes_left = 8;
  (void)alice_.Run(now_);
  alice_.Restart(now_);
  EXPECT_OK(bob_.Run(now_));  // reads what there is, and acknowledges
  bob_.RestoreOnNewMachine(now_, {{"alice", alice_.address()}});
  RunBoth(12, absl::Minutes(10));
  ASSERT_EQ(bob_.shown.size(), 1u);
  ExpectFile(bob_, 0, "big", bytes);
}

TEST_F(FileTransferTest, BeyondTheRoomOfAContactFilesAreRefusedAndBothAreTold) {
  Befriend();
  for (size_t i = 0; i < kFilesKeptMax; i += kFilesWaitingMax) {
    for (size_t j = 0; j < kFilesWaitingMax; ++j) ASSERT_OK(alice_.SendFile(bob_.address(), "tiny", {}, now_));
    RunBoth(2);
  }
  ASSERT_EQ(bob_.shown.size(), kFilesKeptMax);
  ASSERT_OK_AND_ASSIGN(const MessageId refused, alice_.SendFile(bob_.address(), "too much", SomeBytes(9000), now_));
  RunBoth(3);
  EXPECT_EQ(bob_.shown.size(), kFilesKeptMax);
  EXPECT_EQ(alice_.states[refused].state, DeliveryState::kRefused);
  const auto no_room = [](const BookNotice& one) { return one.kind == BookNotice::Kind::kNoRoom; };
  EXPECT_EQ(std::count_if(bob_.notices.begin(), bob_.notices.end(), no_room), 1);
  bob_.Restart(now_);
  ASSERT_EQ(bob_.book().FindConversation(alice_.address())->files().size(), kFilesKeptMax) << "the room is known after a restart";
  bob_.book().RemoveFile(alice_.address(), bob_.shown[0].id);
  ASSERT_OK_AND_ASSIGN(const MessageId taken, alice_.SendFile(bob_.address(), "fits", SomeBytes(9000), now_));
  RunBoth(3);
  EXPECT_EQ(alice_.states[taken].state, DeliveryState::kDelivered);
}

TEST_F(FileTransferTest, ARemovedFileLeavesNothingOnDiskAndDoesNotComeAgain) {
  Befriend();
  ASSERT_OK(alice_.SendFile(bob_.address(), "big", SomeBytes(50000), now_));
  RunBoth(3);
  ASSERT_EQ(bob_.disk.Count('x'), PiecesOf(50000));
  bob_.book().RemoveFile(alice_.address(), bob_.shown.at(0).id);
  RunBoth(3);
  EXPECT_EQ(bob_.disk.Count('x'), 0u);
  EXPECT_EQ(bob_.disk.Count('t'), 0u);
  EXPECT_EQ(bob_.shown.size(), 1u);
  ASSERT_OK(bob_.book().Remove(alice_.address()));
}

TEST_F(FileTransferTest, AFileThatStopsComingIsGivenUpAndTold) {
  Befriend();
  ASSERT_OK_AND_ASSIGN(const MessageId id, alice_.SendFile(bob_.address(), "big", SomeBytes(300000), now_));
  alice_.disk.writes_left = 8;
  (void)alice_.Run(now_);
  EXPECT_OK(bob_.Run(now_));
  EXPECT_GT(bob_.disk.Count('x'), 0u);
  now_ += absl::Hours(16 * 24);
  EXPECT_OK(bob_.Run(now_));
  EXPECT_EQ(bob_.disk.Count('x'), 0u);
  EXPECT_TRUE(bob_.book().FindConversation(alice_.address())->files().empty());
  EXPECT_TRUE(bob_.book().FindConversation(alice_.address())->seen().contains(id)) << "what still comes of it is refused";
  EXPECT_TRUE(std::any_of(bob_.notices.begin(), bob_.notices.end(),
                          [](const BookNotice& one) { return one.kind == BookNotice::Kind::kLost; }));
}

TEST(OutboxFileTest, ANewSessionGoesOnWhereAcknowledgementsEnd) {
  support::SeededRng rng(1);
  Outbox outbox(2);
  ASSERT_OK(outbox.EnqueueFile("name", SomeBytes(20 * kBoxTextMax), 0, absl::UnixEpoch(), rng));
  uint32_t seq = 5;
  const auto seal = [&] {
    while (const Outgoing* file = outbox.NextFile()) {
      Parcel parcel;
      parcel.seq = seq++;
      parcel.file = file->number;
      parcel.piece = file->sealed;
      parcel.expiry = absl::InfiniteFuture();
      const uint64_t number = file->number;
      outbox.AddParcel(parcel);
      outbox.MarkPieceSealed(number, absl::InfiniteFuture());
    }
  };
  seal();
  EXPECT_EQ(outbox.parcels().size(), kPieceWindow);
  for (uint32_t done = 5; done < 9; ++done) (void)outbox.OnPut(done, 3, absl::UnixEpoch());
  seal();
  EXPECT_EQ(outbox.parcels().size(), kPieceWindow + 4u);
  (void)outbox.OnAcknowledged(8);
  outbox.StartOver();
  EXPECT_TRUE(outbox.parcels().empty());
  ASSERT_NE(outbox.NextFile(), nullptr);
  EXPECT_EQ(outbox.NextFile()->sealed, 3);
  EXPECT_EQ(outbox.NextFile()->PiecesStored(), 3);
  outbox.ForgetAcknowledged();
  outbox.StartOver();
  EXPECT_EQ(outbox.NextFile()->sealed, 0);
}

class LossyFileTransferTest : public FileTransferTest, public testing::WithParamInterface<int> {
 protected:
  LossyFileTransferTest()
      : FileTransferTest({.nodes = 20, .droppers = 4, .failure = 0.1, .lost_answer = 0.1, .half_life = absl::Hours(6)},
                         static_cast<uint64_t>(GetParam())) {}
};

TEST_P(LossyFileTransferTest, ArrivesOnceAndWholeAmongTextsThroughDeathsOfBoth) {
  support::SeededRng rng(static_cast<uint64_t>(GetParam()));
  MeetWithReceipts();
  RunBoth();
  const base::Bytes bytes = SomeBytes(200000);
  ASSERT_OK(alice_.SendFile(bob_.address(), "big", bytes, now_));
  size_t texts = 0;
  for (int step = 0; step < 120; ++step) {
    Person& person = rng.Below(2) == 0 ? alice_ : bob_;
    if (rng.Below(4) == 0 && alice_.Send(bob_.address(), absl::StrCat("text ", texts), now_).ok()) ++texts;
    if (rng.Below(3) == 0) person.disk.writes_left = static_cast<int64_t>(rng.Below(40));
    (void)person.Run(now_, rng.Below(4) == 0);
    if (person.disk.writes_left >= 0) person.Restart(now_);
    now_ += absl::Minutes(3);
    store_.Pass(absl::Minutes(3), now_);
  }
  RunBoth(200, absl::Minutes(5));
  size_t files = 0, next = 0;
  for (size_t i = 0; i < bob_.shown.size(); ++i) {
    if (bob_.shown[i].file) {
      ++files;
      ExpectFile(bob_, i, "big", bytes);
    } else if (!bob_.shown[i].late) {
      EXPECT_EQ(bob_.shown[i].text, absl::StrCat("text ", next++));
    } else {
      ++next;
    }
  }
  EXPECT_EQ(files, 1u);
  EXPECT_EQ(bob_.shown.size(), texts + 1);
}
INSTANTIATE_TEST_SUITE_P(Seeds, LossyFileTransferTest, testing::Range(1, 5));

}  // namespace
}  // namespace chat
