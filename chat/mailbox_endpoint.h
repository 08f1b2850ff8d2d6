// SPDX-License-Identifier: Apache-2.0
// chat/mailbox_endpoint.h — the mailbox at the end of circuits: requests to the store of this node and back.
//
// Every request is answered, with kMailboxMessageSize bytes; none is logged. Signatures are checked on workers. One that carries
// kHoldAnswer is answered kAnswerHold after it came, or later: who counts cells cannot tell a put from a reading by its time.
// A LIST that waits, of a place with nothing behind its cursor and with another replica that says so, is answered when an
// envelope is put there, or after kListWait with the empty page: what its reader asked for again and again otherwise, and what it
// shows is that somebody waits (decisions/0025). An envelope is handed out as its write begins: it is sealed and proves itself,
// and whoever reads it keeps it.
#pragma once

#include <memory>
#include <string>

#include "base/event_loop.h"
#include "chat/place_store.h"
#include "circuits/endpoint.h"
#include "dht/record.h"
#include "keys/identity.h"

namespace chat {

inline constexpr int kPendingRequestsMax = 1024;  // about 4 KB each; beyond it the answer is "unavailable" at once
// Longer than a put to three replicas takes, one of which is silent (dht: 300 ms after W).
inline constexpr absl::Duration kAnswerHold = absl::Milliseconds(500);
inline constexpr absl::Duration kListWait = absl::Seconds(5);  // half of the 10 s that a request may take
inline constexpr int kListWaitsMax = kPendingRequestsMax / 2;  // beyond it the empty page at once
inline constexpr int kListWaitsOfPlaceMax = 8;                 // the same: nobody takes them all with one door
inline constexpr int kHeldAnswersMax = 4096;                   // 8 MB; beyond it "unavailable" at once

class MailboxEndpoint : public circuits::EndpointHandler {
 public:
  // All references outlive the endpoint. `self`: the node key of this node, which listings are signed for.
  MailboxEndpoint(base::EventLoop& loop, PlaceStore& store, const dht::RecordKinds& kinds, std::string network,
                  const keys::PublicKey& self);
  ~MailboxEndpoint() override;

  void OnEndpointRequest(circuits::EndpointRequest request) override;
  // A record came into this node's store, or is on its way to the disk (DhtPorts::on_record): told twice, the same is done once.
  void OnRecord(const dht::Record& record);

 private:
  struct State;
  std::shared_ptr<State> state_;  // work under way on a worker holds it too
};

}  // namespace chat
