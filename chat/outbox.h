// SPDX-License-Identifier: Apache-2.0
// chat/outbox.h — what one conversation has to send: texts and files until they are delivered or expired, and their sealed
// parcels.
//
//   queued --a parcel of every part has W receipts--> stored on k --acknowledged by the reader--> delivered
//      \___________________________ a part expired unacknowledged ____________________________/ --> expired
//                                                                   a file that the reader does not take --> refused
// A parcel is one box, or the envelope of a handshake: bytes that are sealed once and put again and again, never changed. Its
// copies go to the next of its three places after 10 min, 1 h, 6 h, then every 24 h, until it is acknowledged or expires; after a
// failure after 30 s. A handshake, and the last box of a chain, go to two places at once. Texts are sealed at once, a file piece
// by piece, at most kPieceWindow ahead of what is stored: so a text goes by a file, and the file goes on after a restart, or in a
// new session, where its reader's acknowledgements end. What was sealed while this clock was so far ahead that no node takes it
// is sealed anew, in a new session or chain; where there is none to be had, it expires. Nothing here forgets a text before its
// state is final, and every change is named (TakeChanges) so that it is on disk before anything of it leaves. Pure.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/bytes.h"
#include "chat/session.h"
#include "dht/record.h"

namespace chat {

inline constexpr size_t kUnfinishedMax = 4096;  // messages of one conversation
inline constexpr size_t kParcelsMax = 16384;    // of one conversation; 33 MB. Files leave the last kUnfinishedMax to texts
inline constexpr size_t kFilesWaitingMax = 4;   // not final, of one conversation; 32 MiB
inline constexpr uint16_t kPieceWindow = 8;     // a text waits for so many pieces at most; readers look so far ahead
inline constexpr size_t kFinishedShown = 64;    // final ones kept so that their state can be looked up
inline constexpr absl::Duration kPutRetry = absl::Seconds(30);
inline constexpr absl::Duration kRePutAfter[] = {absl::Minutes(10), absl::Hours(1), absl::Hours(6), absl::Hours(24)};

enum class DeliveryState : uint8_t { kQueued = 1, kStored = 2, kDelivered = 3, kExpired = 4, kRefused = 5 };

struct Outgoing {
  uint64_t number = 0;  // order of sending
  MessageId id{};
  base::Bytes text;  // or a file's bytes
  absl::Time queued_at;
  absl::Time expiry = absl::InfiniteFuture();  // once sealed
  DeliveryState state = DeliveryState::kQueued;
  uint8_t copies = 0;       // receipts of the part that has the fewest; 0 while queued
  uint32_t first_seq = 0;   // its parts, in the current session
  uint16_t parts = 0;       // 0: not sealed in the current session; always 0 of a file
  uint8_t life = 0;         // message_life.h
  bool is_control = false;  // what groups tell each other (group_controls.h): nobody is shown it
  bool gone = false;        // its time was over while it was not acknowledged: there is no text any more to be sealed anew

  std::string file_name;      // empty: a text
  uint16_t pieces = 0;        // of a file
  uint16_t acknowledged = 0;  // the first so many are on the reader's disk, whatever becomes of the session
  uint16_t sealed = 0;        // the first so many are acknowledged, or sealed in the current session
  uint16_t held = 0;          // of these, parcels that are not acknowledged yet (not on disk: follows from the parcels)
  uint16_t weak = 0;          // of these, with fewer than W receipts (the same)

  bool Final() const { return state > DeliveryState::kStored; }
  bool IsFile() const { return pieces > 0; }
  uint16_t PiecesStored() const { return static_cast<uint16_t>(sealed - weak); }
};

struct Parcel {
  enum class Kind : uint8_t { kBox = 1, kEnvelope = 2 };
  uint32_t seq = 0;
  Kind kind = Kind::kBox;
  uint64_t file = 0;   // number of the file that it is a piece of; 0: of none
  uint16_t piece = 0;  // index
  base::Bytes body;    // of the record at place 0
  absl::Time expiry;
  bool twice = false;  // put at two places from the start: without it the reader finds nothing that comes after
  uint8_t first_place = 0;
  uint32_t puts = 0;    // tried: says which place is next
  uint32_t stores = 0;  // succeeded: says when to put it again
  uint8_t copies = 0;   // receipts, at its best place
  absl::Time due;

  uint8_t NextPlace() const { return static_cast<uint8_t>((first_place + puts) % kPlaceCount); }
};

// What a person is shown of a message, when it changes.
struct StateChange {
  MessageId id{};
  DeliveryState state = DeliveryState::kQueued;
  uint8_t copies = 0;
  uint16_t stored = 0, pieces = 0;  // of a file
  bool is_control = false;
};

// The record of a parcel at one of its places.
dht::Record ParcelRecord(const Parcel& parcel, uint8_t place);

class Outbox {
 public:
  explicit Outbox(int write_quorum) : write_quorum_(write_quorum) {}

  // Behind everything queued. ResourceExhausted beyond kUnfinishedMax.
  absl::StatusOr<MessageId> Enqueue(base::Bytes text, uint8_t life, absl::Time wall_now, base::Rng& rng, bool is_control = false);
  // The same for a file, and ResourceExhausted beyond kFilesWaitingMax. CHECKs its name's and its own size.
  absl::StatusOr<MessageId> EnqueueFile(std::string name, base::Bytes bytes, uint8_t life, absl::Time wall_now, base::Rng& rng);
  // The first text that is not sealed yet; null if there is none.
  const Outgoing* NextUnsealed() const;
  // The file whose next piece, number `sealed`, may be sealed now; null if there is none.
  const Outgoing* NextFile() const;
  bool HasUnsealed() const;
  void MarkPieceSealed(uint64_t number, absl::Time expiry);
  // The parts of message `number` are the parcels from `first_seq` on.
  void MarkSealed(uint64_t number, uint32_t first_seq, uint16_t parts, absl::Time expiry);
  void AddParcel(Parcel parcel);
  // A new session: all that is not final is sealed again, files from what was acknowledged on; the old parcels are dropped.
  // What is gone expires.
  std::vector<StateChange> StartOver();
  // There is a parcel that no node takes before this clock gets where it was when it was sealed.
  bool HasImpossible(absl::Time wall_now) const;
  // Texts of such parcels are to be sealed again, in a fresh chain of a group. The number that it may begin with, behind all that
  // stays sealed; none if there is no such text.
  std::optional<uint32_t> Unseal(absl::Time wall_now);
  // There is something for Disappear to do.
  bool HasDisappearing(absl::Time wall_now) const;
  // Deletes the texts whose time is over: what is sealed goes its way, what is not expires.
  std::vector<StateChange> Disappear(absl::Time wall_now);
  // Nothing is said instead of these controls: they keep their places, and tell nothing.
  void BlankControls(const std::function<bool(base::ByteView control)>& which);
  // The reader has lost what it had acknowledged of files that are not final.
  void ForgetAcknowledged();
  // The reader does not take this file.
  std::vector<StateChange> Refuse(const MessageId& id);

  // Parcels to be put now, oldest first; those given out come back through OnPut.
  std::vector<const Parcel*> Due(absl::Time wall_now, size_t at_most);
  absl::Time NextDue() const;
  // `copies`: distinct receipts that count; 0 if it failed. Returns the messages whose state changed.
  std::vector<StateChange> OnPut(uint32_t seq, uint8_t copies, absl::Time wall_now);
  // The other side has everything before `seq`.
  std::vector<StateChange> OnAcknowledged(uint32_t seq);
  // What expired, or is impossible. `broken`: the reader may not find later messages without what expired, so the session has to
  // be made anew.
  std::vector<StateChange> Expire(absl::Time wall_now, bool& broken);

  // Where nobody acknowledges (groups): texts that are stored leave it once they expire, or more than so many parcels are held.
  void RetireStored(absl::Time wall_now, size_t parcels_kept);

  const std::map<uint64_t, Outgoing>& messages() const { return messages_; }
  const Outgoing* Find(const MessageId& id) const;
  // A part of it has been given out by Due and did not come back yet.
  bool UnderWay(const Outgoing& message) const;
  const std::map<uint32_t, Parcel>& parcels() const { return parcels_; }

  // What changed since the last call: by number and by seq; those not found any more are gone.
  struct Changes {
    std::set<uint64_t> messages;
    std::set<uint64_t> files;  // whose bytes came, or went
    std::set<uint32_t> parcels;
  };
  Changes TakeChanges();
  void Restore(Outgoing message);
  void Restore(Parcel parcel);  // behind the messages
  void RestoreBytes(uint64_t number, base::Bytes bytes);

 private:
  absl::StatusOr<MessageId> Add(Outgoing message, absl::Time wall_now, base::Rng& rng);
  void Touch(Outgoing& message) { changes_.messages.insert(message.number); }
  void End(Outgoing& message, DeliveryState state);
  Outgoing* FileOf(const Parcel& parcel);
  void Drop(std::map<uint32_t, Parcel>::iterator it);
  bool IsImpossible(const Parcel& parcel, absl::Time wall_now) const;
  void Reopen(Outgoing& message);
  bool Settle(Outgoing& message);
  uint8_t FewestCopies(const Outgoing& message) const;
  void ForgetFinished();

  const int write_quorum_;
  uint64_t last_number_ = 0;
  std::map<uint64_t, Outgoing> messages_;
  std::map<uint32_t, Parcel> parcels_;
  std::set<uint32_t> flying_;  // given out by Due
  Changes changes_;
};

StateChange StateOf(const Outgoing& message);
base::Bytes EncodeOutgoing(const Outgoing& message);  // without a file's bytes
base::Bytes EncodeParcel(const Parcel& parcel);
absl::StatusOr<Outgoing> DecodeOutgoing(base::ByteView bytes);  // DataLoss
absl::StatusOr<Parcel> DecodeParcel(base::ByteView bytes);      // DataLoss

}  // namespace chat
