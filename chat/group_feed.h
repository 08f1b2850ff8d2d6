// SPDX-License-Identifier: Apache-2.0
// chat/group_feed.h — what one member of a group writes, as another reads it: its chains, and the order of what lay in them.
//
// A member has one chain after the other; numbers of messages go on from chain to chain, so the first one of a new chain says
// where the one before it ends. That one is read until everything before its end was found, or given up (box_reader.h), or is
// two weeks old. The next one is read once it is, or kHoldBack after it was told. Messages are shown in the order of their
// numbers: behind a gap they wait, at most kHoldBack; what turns up later is marked late. A chain that begins before what was
// shown is that of somebody who lost theirs: everything is begun anew. Chains are told again, and tellings overtake each other:
// one that begins earlier than what we were told first adds what lies before that, and nothing else; what no telling gives us of
// a chain is lost, and counted. Whoever was away for so long that boxes expired unread finds nothing any more: then the writer is
// asked, and reading goes on where it says; what lies between is lost, and counted. Clocks may be wrong: a chain counts as made
// when it was told, if it says later; our own times that are later than now count as now. A core: pure.
#pragma once

#include <deque>
#include <map>
#include <vector>

#include "chat/conversation.h"
#include "chat/group_chain.h"

namespace chat {

inline constexpr absl::Duration kGroupSilence = absl::Hours(7 * 24);   // then the writer is asked where it is
inline constexpr absl::Duration kOldChainLife = absl::Hours(15 * 24);  // boxes live for 15 days at most
inline constexpr size_t kGroupChainsMax = 3;                           // of a member; beyond it the oldest is given up
inline constexpr size_t kGroupWaitingMax = 256;                        // boxes behind a gap; 0.5 MB
inline constexpr size_t kGroupPartialMax = 4;                          // texts of which parts are missing
inline constexpr size_t kGroupReadsPerRound = 1024;                    // of one member: a flood does not stop the others

class GroupFeed {
 public:
  // Somebody told us where the member writes.
  void TakeChain(const GroupChain& told, absl::Time wall_now);
  bool known() const { return !lines_.empty(); }
  // When something was found last, or a chain was told.
  absl::Time heard() const { return heard_; }

  // The chains that are read now, by their writing keys.
  std::vector<keys::PublicKey> Chains(absl::Time wall_now) const;
  std::vector<Probe> BeginRound(const keys::PublicKey& chain);
  std::vector<Probe> OnAbsent(const keys::PublicKey& chain, const Probe& probe);
  // A box that verifies lies where the probe looked.
  std::vector<Probe> OnFound(const GroupId& group, const keys::PublicKey& member, const keys::PublicKey& chain,
                             const Probe& probe, const Box& box, absl::Time wall_now);

  struct News {
    std::vector<Incoming> arrived;  // to be shown, in this order; ids as the writer chose them
    uint32_t lost = 0;              // expired before they were read, or nonsense
    bool restarted = false;         // the member lost its chain and has a new one
    bool empty() const { return arrived.empty() && lost == 0 && !restarted; }
  };
  // What has come, or is given up, by now.
  News Advance(absl::Time wall_now);

  // True once after something changed that has to be on disk.
  bool TakeChanged() { return std::exchange(changed_, false); }
  base::Bytes Serialize() const;
  static absl::StatusOr<GroupFeed> Parse(base::ByteView bytes);  // DataLoss

 private:
  struct Line {
    keys::PublicKey writer;
    BoxReader reader;
    absl::Time since;             // it was told
    uint64_t made = 0;            // by its writer; at most `since`
    uint32_t first = 0;           // number of its first message
    uint32_t end = kGroupSeqMax;  // and of the first one that lies in the next chain
  };
  Line* Find(const keys::PublicKey& chain);
  void TakeEarlier(Line& line, const GroupChain& told, absl::Time wall_now);
  void ForgetFuture(absl::Time wall_now);
  size_t LinesRead(absl::Time wall_now) const;
  void DropDrained(absl::Time wall_now);
  void DropFirst();
  void DeliverOne(Content content, bool late);

  std::deque<Line> lines_;  // in the order of their numbers
  absl::Time heard_ = absl::InfinitePast();
  uint32_t next_shown_ = 0;
  uint32_t begun_ = kGroupSeqMax;  // what is behind it was, or is, read: a chain of there that is not known any more is read
  absl::Time held_since_ = absl::InfiniteFuture();
  std::map<uint32_t, Content> waiting_;  // by number, not shown yet
  std::map<MessageId, std::map<uint16_t, Content>> partial_;
  News news_;
  size_t reads_left_ = 0;
  bool changed_ = true;
};

}  // namespace chat
