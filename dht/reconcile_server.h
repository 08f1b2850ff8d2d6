// SPDX-License-Identifier: Apache-2.0
// dht/reconcile_server.h — answers Reconcile: gives a replica the records of a range that it lacks, told by its coded symbols.
//
// The asker sends symbols of what it has; they are set against this node's kept row, and once the difference decodes, the ids
// of it that are held here name the records to give. So ids never travel, only symbols and records. What only the asker has is
// pulled by this node in a round of its own.
// Bounded: kExchangesMax exchanges, each kSymbolsMax symbols and as many names; the one idle longest gives way. Who may ask and
// how often: as for other range calls (range_server.h). A lost exchange costs a new start: what was given by then is no longer
// part of the difference.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "dht/admitter.h"
#include "dht/kept_symbols.h"
#include "dht/outbox.h"
#include "dht/range_server.h"

namespace dht {

inline constexpr size_t kExchangesMax = 32;       // six neighbours with a few each; at most 1.5 MiB of symbols and 2 MiB of names
inline constexpr uint32_t kExchangeIds = 16'383;  // two bytes on the wire

class ReconcileServer {
 public:
  ReconcileServer(const ReplicaSet& replicas, RangeIndex& index, KeptSymbols& symbols, const Witness& witness,
                  RangeServer& ranges, Admitter& admitter, Outbox& out)
      : replicas_(replicas),
        index_(index),
        symbols_(symbols),
        witness_(witness),
        ranges_(ranges),
        admitter_(admitter),
        out_(out) {}

  // Answers `request` once, perhaps in a later event. Errors: as Digest.
  void Answer(RequestId request, const std::vector<overlay::Peer>& caller, ReconcileRequest message, bool serving,
              const Moment& moment);

 private:
  struct Exchange {
    keys::PublicKey caller;
    overlay::RingRange range;
    std::unique_ptr<SymbolView> view;  // from the first symbols on
    SymbolDecoder decoder;
    bool decoded = false;
    std::vector<RecordName> names;  // what the caller lacks
    size_t sent = 0;                // of names
    uint64_t used = 0;              // when, in calls
  };

  absl::StatusOr<DhtReply> Open(const std::vector<overlay::Peer>& caller, const ReconcileRequest& message, bool serving,
                                const Moment& moment);
  uint32_t NewExchange(const keys::PublicKey& caller, const overlay::RingRange& range);
  Exchange* Find(uint32_t id, const std::vector<overlay::Peer>& caller);
  void TakeSymbols(RequestId request, const std::vector<overlay::Peer>& caller, ReconcileRequest message, const Moment& moment);
  absl::StatusOr<DhtReply> Decode(uint32_t id, const std::vector<overlay::Peer>& caller, const ReconcileRequest& message,
                                  const Moment& moment);
  absl::StatusOr<DhtReply> GiveRecords(uint32_t id, const std::vector<overlay::Peer>& caller, const Moment& moment);

  const ReplicaSet& replicas_;
  RangeIndex& index_;
  KeptSymbols& symbols_;
  const Witness& witness_;
  RangeServer& ranges_;
  Admitter& admitter_;
  Outbox& out_;
  std::map<uint32_t, Exchange> exchanges_;
  uint32_t last_id_ = 0;
  uint64_t calls_ = 0;
};

}  // namespace dht
