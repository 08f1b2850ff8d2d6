// SPDX-License-Identifier: Apache-2.0
// chat/mailbox.h — what a storing node makes of a request to a place. Pure functions; mailbox_endpoint.h runs them.
//
// Anyone may put an envelope; only who can sign with a_e may list or delete. Whoever cannot is refused before the store is
// looked at: the answer, and the way to it, are the same whether mail lies there or not. Boxes and bundles are read by their
// point: those who can name it may know what lies there, and it is sealed.
#pragma once

#include <functional>
#include <variant>

#include "chat/mailbox_messages.h"
#include "dht/dht_messages.h"
#include "dht/record.h"

namespace chat {

struct StoreRecord {  // PUT and DELETE
  dht::Record record;
};
struct ListPlace {
  overlay::NodeId point;
  std::optional<ListCursor> cursor;
  Day day = 0;
  bool waits = false;
};
struct ReadPlace {
  dht::Kind kind = dht::Kind::kBox;
  overlay::NodeId point;
};
struct RefuseRequest {};
using MailboxDecision = std::variant<RefuseRequest, StoreRecord, ListPlace, ReadPlace>;

// Decodes and checks one request: shape, signature, day. Takes up to 200 us (signatures): runs on a worker; any thread.
// `kinds`: of this node; a node that does not know door kinds refuses everything.
MailboxDecision JudgeRequest(base::ByteView request, const ListContext& context, const dht::RecordKinds& kinds,
                             absl::Time wall_now);

// Calls its argument for every record of one kind held at the place. Not OK: they cannot be read just now, which both answers say.
using RecordSource = std::function<absl::Status(const std::function<void(const dht::Record&)>&)>;
// The first envelope behind the cursor, in the order of Rank.
MailboxAnswer MakePage(const ListPlace& list, bool complete, const RecordSource& envelopes);
// The record that stays: the store keeps one of these kinds at a place.
MailboxAnswer MakeReading(bool complete, const RecordSource& records);

MailboxAnswer AnswerOfPut(const absl::StatusOr<dht::PutReply>& outcome);

}  // namespace chat
