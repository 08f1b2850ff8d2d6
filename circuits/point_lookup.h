// SPDX-License-Identifier: Apache-2.0
// circuits/point_lookup.h — the successor of a point, found over whole signed tables and borne out by a witness. A core: it says whose
// table to get next; its owner gets it through a circuit and reports. The point itself is never sent.
//
//   nearest known members before x, table by table -> the nearest named at or after x, T -> T's own table: is x in its arc, are its
//   predecessors no farther than they may be -> a random one of these: does its list have T first after x -> found
// A table that fails the checks of table_check.h is not listened to. Whoever is named nearer to x by any table becomes the candidate
// instead, so hiding T takes everybody who is asked. A candidate whose own claim or whose witnesses fail is put aside, and one more
// member before x is asked. Nothing that is heard can move x: it was drawn before (relay_pool.h).
// A table that cannot be had is passed over if it was on the way; T's own and the last witness's end the try with Unavailable: then
// the owner goes on over another circuit (Restart), where what was learnt stays.
// Source: design.md 7; facts after NISAN and ShadowWalker as named in table_check.h. Bounded: kFetchesMax tables of one try.
#pragma once

#include <variant>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "circuits/table_check.h"

namespace circuits {

inline constexpr int kFetchesMax = 24;            // of one try; 11 are usual in a ring of 10,000
inline constexpr int kWitnessesMax = 3;           // asked about one candidate
inline constexpr size_t kBeforeAskedMin = 4;      // members before x whose tables were listened to, before a candidate counts
inline constexpr size_t kNearestKept = 24;        // peers on each side of x

// Get this member's own table. Its descriptor is known to the one that named it.
struct FetchTable {
  overlay::Peer peer;
  std::optional<keys::PublicKey> named_by;
};
struct PointFound {
  overlay::RoutingTable table;  // of the successor
  double arc = 0;               // share of the circle that falls to it, the greater of its own word and the witness's
};
struct PointFailed {
  absl::Status why;
};
using PointStep = std::variant<FetchTable, PointFound, PointFailed>;

class PointLookup {
 public:
  struct Options {
    overlay::NodeId point;
    double mean_gap = 0;
    NodeKeys never;  // the circuit's relays and the own node: no table of theirs can be had over it
  };

  PointLookup(Options options, base::Rng& rng) : options_(std::move(options)), rng_(rng) {}

  // A table that is held already: where the search may begin. Checked like any other.
  void Learn(const overlay::RoutingTable& table);
  PointStep Next();
  // Answers FetchTable; of anybody else it counts as OnNoTable.
  void OnTable(const overlay::RoutingTable& table);
  void OnNoTable();
  // The same try goes on over a circuit of these relays; who was being asked may be asked again.
  void Move(NodeKeys never);
  // Another try of the same point, over a circuit of other relays: who gave no table before is asked again.
  void Restart(NodeKeys never);

  const overlay::NodeId& point() const { return options_.point; }
  int fetches() const { return fetches_; }

 private:
  struct Known {
    overlay::NodeId distance;  // to x, or from it
    overlay::Peer peer;
    keys::PublicKey named_by;
    bool asked = false;
  };
  void Hear(const overlay::Peer& peer, const keys::PublicKey& named_by);
  PointStep Fetch(const overlay::Peer& peer, const keys::PublicKey& named_by);
  std::optional<PointStep> AskBefore();
  PointStep CheckCandidate(const Known& candidate);
  PointStep AskWitness(const overlay::RoutingTable& candidate);
  bool Agrees(const overlay::RoutingTable& candidate, const overlay::RoutingTable& witness) const;
  PointFound Found(const overlay::RoutingTable& candidate, const overlay::RoutingTable& witness) const;
  PointStep PutAside(const overlay::NodeId& candidate);

  Options options_;
  base::Rng& rng_;
  std::vector<Known> before_, after_;  // nearest first
  absl::flat_hash_map<overlay::NodeId, overlay::RoutingTable> tables_;  // that passed
  absl::flat_hash_set<overlay::NodeId> put_aside_;              // candidates that did not hold
  NodeKeys witnesses_;         // asked about the present candidate
  overlay::NodeId witnessed_;  // that candidate
  std::optional<overlay::NodeId> witness_;  // the latest of them, not yet heard
  std::optional<overlay::Peer> fetching_;
  bool needed_ = false;  // what is being fetched is the candidate's table: without it the try ends
  bool failed_ = false;
  size_t before_heard_ = 0, before_wanted_ = kBeforeAskedMin;
  int fetches_ = 0;
};

}  // namespace circuits
