// SPDX-License-Identifier: Apache-2.0
// chat/box_reader.h — the reading end of a chain of private boxes: where to look next, what is missing, what is given up.
//
// The head is the first message never seen. One round of a poll asks for the head at its first place; if it is not there, at one
// other place (they take turns from round to round), for the message behind it, and for one of the next kLookAhead, also in turn.
// A box found behind the head makes those before it *missing*: each round asks for them at all places in turn, until they turn
// up, or until a later box has expired for kGiveUpAfter: then they have expired too, and are reported lost. Chain secrets before
// the head are gone; of missing messages only the seeds of their places are kept. Pure; part of a session (session.h).
#pragma once

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "chat/box.h"

namespace chat {

inline constexpr uint32_t kLookAhead = 8;
inline constexpr size_t kMissingMax = 64;  // beyond it the oldest are given up
inline constexpr absl::Duration kGiveUpAfter = absl::Hours(24);

// A place to be read in this round.
struct Probe {
  uint32_t seq = 0;
  uint8_t place = 0;
  overlay::NodeId point;
  keys::PublicKey box_key;
};

class BoxReader {
 public:
  BoxReader() = default;
  // `chain` begins with message `head`. `writer`: of a group's chain (group_chain.h), whose places have blinded keys.
  BoxReader(PlaceChain chain, uint32_t head, std::optional<keys::PublicKey> writer = {})
      : chain_(std::move(chain)), head_(head), writer_(writer) {}

  // The places of a new round that are asked for at once: the head, and what is missing.
  std::vector<Probe> BeginRound();
  // Nothing lay where this probe looked. More places of this round, or none.
  std::vector<Probe> OnAbsent(const Probe& probe);
  // A box was found for `seq`, verified, with this expiry: it is read. False if it is not awaited any more. Afterwards
  // the head may have moved; NextHead asks on.
  bool OnFound(uint32_t seq, absl::Time expiry);
  std::vector<Probe> NextHead();
  // Messages [from, to) are missing too, all before those of now: `chain` begins with the first one. They expire by `expiry`.
  // False, and nothing has changed, if they are more than kMissingMax.
  bool Await(PlaceChain chain, uint32_t from, uint32_t to, absl::Time expiry);
  // Message head-1 was the last of its chain; the next one lies at the first place of `chain`.
  void SwitchTo(PlaceChain chain) { chain_ = std::move(chain); }
  // Missing messages that cannot come any more, and those beyond kMissingMax: forgotten from now on.
  std::vector<uint32_t> GiveUp(absl::Time wall_now);

  // What the place of an awaited message is derived from; none if it is not awaited. Gone once it was found.
  std::optional<keys::WipedArray<32>> SeedOf(uint32_t seq) const;

  // Every message before this one was read or given up.
  uint32_t contiguous() const { return missing_.empty() ? head_ : missing_.front().seq; }
  uint32_t head() const { return head_; }
  size_t missing_count() const { return missing_.size(); }

  base::Bytes Serialize() const;
  static absl::StatusOr<BoxReader> Parse(base::ByteView bytes, std::optional<keys::PublicKey> writer = {});

 private:
  struct Missing {
    uint32_t seq = 0;
    keys::WipedArray<32> seed;
    absl::Time expiry = absl::InfiniteFuture();  // of a later box
  };

  Probe ProbeOf(uint32_t seq, const keys::WipedArray<32>& seed, uint32_t turn) const;

  PlaceChain chain_;  // at head_
  uint32_t head_ = 0;
  uint32_t round_ = 0;
  std::vector<Missing> missing_;  // ascending
  std::optional<keys::PublicKey> writer_;
};

}  // namespace chat
