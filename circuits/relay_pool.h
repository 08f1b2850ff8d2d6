// SPDX-License-Identifier: Apache-2.0
// circuits/relay_pool.h — the secret pool of relays: who may become a hop of one's own circuits. A core.
//
// Source: design.md 7; facts after Castro et al. (OSDI 2002), Danezis and Clayton (P2P 2006), Mittal and Borisov (CCS 2008).
//   draw a random point x and the coin that decides later -> the driver resolves x (point_lookup.h) -> kept with probability
//   min(1, kAcceptShare * mean gap / arc): so relays come out nearly uniform although long arcs catch more points
// Point and coin are drawn together and never again: a failed try is repeated with both, over another circuit, kDrawTries times;
// who makes tries fail gains nothing but that this point is dropped. Draws begin at Poisson times, whatever else happens.
// A relay found over a provisional guard (guard_set.h) is provisional: if that guard was hostile, who keeps this relay is known. Those
// serve until kPoolUsable others are there, and go then.
// Where paths have distinct prefixes, no prefix has more than a quarter of the pool, once it knows kPrefixesMin: whoever has much of one
// prefix would else fill the pool, and leave a path as few others to choose from. What is refused so costs a find and nothing else.
// Nobody is told what stands here: it is kept sealed (Encode), never shown, never sent; no relay here is taken as a ring neighbour.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/rng.h"
#include "circuits/path_selector.h"
#include "overlay/descriptor.h"

namespace circuits {

inline constexpr size_t kPoolSize = 64;
inline constexpr size_t kPoolUsable = 16;  // from here on circuits come out of the pool alone
// Keeps 14 of 100 finds; the heaviest relay has 1.07 times its fair share. With one half it would be 39 and 1.27, but whoever may choose
// among 16 places for each of a fifth of the ids would be 28 % of the relays, by standing right before others; here it is 23 %.
inline constexpr double kAcceptShare = 0.15;
inline constexpr size_t kPrefixesMin = 8;  // a fair prefix of so many has an eighth: of 64 relays 8, of which 16 are three deviations off
inline constexpr size_t kPrefixPart = 4;   // of the pool, or of kPoolUsable while it is smaller
inline constexpr int kDrawTries = 3;
inline constexpr size_t kDrawsMax = 4;  // under way or waiting for another try
inline constexpr absl::Duration kDrawFirst = absl::Seconds(5);    // mean time between draws until kPoolUsable are not provisional,
inline constexpr absl::Duration kDrawFilling = absl::Seconds(40);  // until it is full,
inline constexpr absl::Duration kDrawFull = absl::Minutes(3);    // and from then on
inline constexpr absl::Duration kRelayAge = absl::Hours(24);      // then a pooled relay gives its place to a newer one

// The chance that a found successor of a random point is kept. `arc` and `mean_gap` as shares of the circle.
double AcceptChance(double arc, double mean_gap);

class RelayPool {
 public:
  struct Draw {
    uint64_t id;
    overlay::NodeId point;
  };
  struct Relay {
    overlay::Descriptor descriptor;
    absl::Time since;  // wall clock
    bool provisional = false;
  };

  // `distinct_prefixes`: as in the network (overlay/network.h).
  explicit RelayPool(base::Rng& rng, bool distinct_prefixes = false) : rng_(rng), distinct_prefixes_(distinct_prefixes) {}

  // Draws that are due, new ones and those to be tried again. Each ends in one of the three below.
  std::vector<Draw> OnTick(absl::Time now);
  absl::Time NextTick() const;
  // Its successor was found and has this descriptor. True if it is in the pool now; the coin or its prefix may be against it.
  bool OnFound(uint64_t id, double arc, double mean_gap, const overlay::Descriptor& descriptor, bool provisional, absl::Time wall_now);
  // It could not be resolved over that circuit. False if that was the last try.
  bool OnFailed(uint64_t id, absl::Time now);
  // What was found can be no relay of ours (the own node). Costs nothing.
  void OnUnfit(uint64_t id) { End(id); }

  // A newer descriptor of a pooled relay; others are not kept.
  void Renew(const overlay::Descriptor& descriptor);
  void Remove(const keys::PublicKey& node_key);
  // Those whose time is over; called now and then.
  void DropExpired(absl::Time wall_now);

  const std::vector<Relay>& relays() const { return relays_; }
  bool Contains(const keys::PublicKey& node_key) const;
  bool IsUsable() const { return relays_.size() >= kPoolUsable; }

  //   count 1 ‖ relays, each: since 8 ‖ provisional 1 ‖ len 2 descriptor ‖ count 1 ‖ draws, each: point 32 ‖ coin 8 ‖ tries left 1
  base::Bytes Encode() const;
  // What Encode wrote, read back into an empty pool. Descriptors that expired meanwhile are left out. DataLoss if it is something else.
  absl::Status Decode(const overlay::Network& network, base::ByteView bytes, absl::Time now, absl::Time wall_now);

 private:
  struct Committed {
    uint64_t id;
    overlay::NodeId point;
    double coin;
    int tries_left;
    absl::Time again;  // InfiniteFuture while it is being resolved
  };
  Committed* Find(uint64_t id);
  bool IsSettled() const;  // kPoolUsable are not provisional
  bool PrefixHasRoom(const std::string& address) const;
  void End(uint64_t id);
  absl::Duration Pause();  // exponential, with the mean of the present state

  base::Rng& rng_;
  const bool distinct_prefixes_;
  std::vector<Relay> relays_;
  std::vector<Committed> draws_;
  uint64_t last_draw_ = 0;
  absl::Time next_draw_ = absl::InfinitePast();
};

}  // namespace circuits
