// SPDX-License-Identifier: Apache-2.0
// chat/assembler.h — puts notes together again, whatever the order and however often a fragment comes.
//
// Incomplete notes are kept until their envelopes expire, at most kIncompleteNotesMax of them once a batch is over (Settle): who
// sends pieces of notes by the hundred must not fill the reader's disk. Ids of finished notes are remembered as long as their
// envelopes can be brought again, so none is shown twice. Pure; the inbox (inbox.h) makes it durable.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "chat/note.h"

namespace chat {

inline constexpr size_t kIncompleteNotesMax = 64;      // 64 x 12 fragments: 1.3 MB
inline constexpr size_t kFinishedNotesMax = 65536;     // ids of 16 days; the oldest make room

class Assembler {
 public:
  enum class Verdict {
    kKept,      // a new fragment of an incomplete note
    kKnown,     // held already, or of a finished note
    kFinished,  // the last one that was missing: `note` is whole
    kBad,       // contradicts the fragments held, or the whole note's signature is wrong: throw it away
  };
  struct Result {
    Verdict verdict = Verdict::kBad;
    Note note;  // kFinished only
  };

  Assembler(std::string network, const keys::PublicKey& recipient) : network_(std::move(network)), recipient_(recipient) {}

  // `expiry`: when its door is polled no more, so that nothing of the note can come again.
  Result Add(const Fragment& fragment, absl::Time expiry);
  // A note that was finished in an earlier run, and until when its envelopes can come again.
  void RememberFinished(const NoteId& id, absl::Time expiry);

  // The end of a batch: drops incomplete notes beyond kIncompleteNotesMax and returns them. Only notes of this batch are dropped:
  // their envelopes may stay in the ring, while those of earlier ones are gone from it.
  std::vector<NoteId> Settle();
  // Drops incomplete notes whose envelopes are gone, and forgets finished ids; returns the incomplete ones.
  struct Expired {
    NoteId id{};
    int have = 0;
    int count = 0;
  };
  std::vector<Expired> Expire(absl::Time wall_now);

  bool Finished(const NoteId& id) const { return finished_.contains(id); }
  size_t incomplete_count() const { return incomplete_.size(); }

 private:
  struct Incomplete {
    std::map<uint8_t, Fragment> fragments;
    absl::Time expiry;
    bool settled = false;
  };

  Result Finish(std::map<NoteId, Incomplete>::iterator it);

  const std::string network_;
  const keys::PublicKey recipient_;
  std::map<NoteId, Incomplete> incomplete_;
  std::map<NoteId, absl::Time> finished_;
};

}  // namespace chat
