// SPDX-License-Identifier: Apache-2.0
// circuits/start_tables_driver.h — where walks begin: a node's own routing table; for a client that of a bootstrap node, fetched
// anew every kRefreshEvery at most, so that joins and deaths are seen.
#pragma once

#include "base/event_loop.h"
#include "circuits/circuit_builder_driver.h"

namespace circuits {

inline constexpr absl::Duration kRefreshEvery = absl::Seconds(3);

// The routing table of one of this process's virtual nodes, signed or not; null while it is no member of the ring.
using OwnTable = std::function<const overlay::RoutingTable*(uint8_t index)>;

class StartTables {
 public:
  // `own_table` is empty for a client, `bootstrap` unused for a node. The client's addresses are tried in turn, the one that
  // answered last first; when none does, members of the ring that are known by now.
  StartTables(OwnTable own_table, std::vector<std::string> bootstrap, base::EventLoop& loop, RingView& view, PeerBook& book,
              IntroduceFunction introduce);

  // Calls back with OK when the view holds a start table that is fresh enough; posted. Unavailable: nobody answers.
  // FailedPrecondition: another network or protocol version, with a text for the user.
  void Refresh(std::function<void(absl::Status)> done);
  std::vector<const overlay::RoutingTable*> tables() const;

 private:
  struct Attempt {
    std::vector<overlay::RpcTarget> targets;
    size_t next = 0;
    absl::Status why = absl::UnavailableError("no bootstrap node answered");
  };

  bool RefreshOwn();
  void TryNext(std::shared_ptr<Attempt> attempt);
  void Finish(absl::Status status);

  const OwnTable own_table_;
  std::vector<std::string> bootstrap_;
  base::EventLoop& loop_;
  RingView& view_;
  PeerBook& book_;
  IntroduceFunction introduce_;
  std::optional<overlay::RoutingTable> fetched_;
  absl::Time fetched_at_ = absl::InfinitePast();
  std::vector<std::function<void(absl::Status)>> waiting_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace circuits
