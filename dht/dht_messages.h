// SPDX-License-Identifier: Apache-2.0
// dht/dht_messages.h — what storing nodes ask of each other, as plain structs; dht_wire.h turns them into proto/dht.proto.
#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "dht/receipt.h"
#include "dht/record.h"
#include "dht/record_store.h"
#include "overlay/node_id.h"
#include "overlay/peer.h"

namespace dht {

enum class PutResult {
  kUnknown = 0,         // too few answered in time to say anything
  kStored = 1,          // on as many nodes as there are receipts; the asker compares with W
  kFull = 2,            // the place is full for this record; `detail` is what its kind says (effort needed)
  kRefused = 3,         // not acceptable, wherever it is sent
  kNotResponsible = 4,  // `responsible` says who is, if it is known
  kNoSpace = 5,         // disk or quota of the node
};

struct PutRequest {  // a put as a client makes it: the contacted replica makes the copies
  Record record;
};
struct PutReply {
  PutResult result = PutResult::kUnknown;
  std::vector<Receipt> receipts;  // distinct responsible nodes, verified by whoever sends this on
  uint32_t detail = 0;
  std::vector<overlay::Peer> responsible;
};
struct GetRequest {  // answered from the union of two replicas
  RecordName name;
};
struct GetReply {
  std::optional<Record> record;
  bool complete = false;  // false: too few replicas answered to call it absent
  std::vector<overlay::Peer> responsible;
};
struct ReplicateRequest {
  Record record;
};
struct ReplicateReply {
  PutResult result = PutResult::kUnknown;
  std::optional<Receipt> receipt;  // with kStored
  uint32_t detail = 0;
};
struct FetchRequest {  // this replica's own copies
  std::vector<RecordName> names;
};
struct FetchReply {
  std::vector<Record> records;  // in the order asked, unknown ones left out, as many as fit
};
struct DigestRequest {
  overlay::RingRange range;
};
struct DigestReply {
  bool responsible = false;  // the answerer is one of the holders of this range
  bool suspect = false;      // and may lack records of it: no witness of absence (RecordStore::suspect)
  RangePrint print;
};
struct NamesRequest {
  overlay::RingRange range;
  std::optional<RecordName> cursor;  // the last name of the page before
};
struct NamesReply {
  std::vector<HeldName> names;  // name and expiry travel, body_size does not
  bool more = false;
};

using DhtRequest = std::variant<PutRequest, GetRequest, ReplicateRequest, FetchRequest, DigestRequest, NamesRequest>;
using DhtReply = std::variant<PutReply, GetReply, ReplicateReply, FetchReply, DigestReply, NamesReply>;  // in the same order

// Bounds of a message (overlay::kRpcMessageMax is 128 KiB).
inline constexpr size_t kFetchNamesMax = 512;        // 65 bytes each
inline constexpr size_t kFetchBytesMax = 48 * 1024;  // records after the first stop here: one large one more still fits
inline constexpr size_t kNamesPageMax = 1024;        // 73 bytes each
inline constexpr size_t kResponsibleMax = 16;        // peers named in an answer: R + 1 and a margin

}  // namespace dht
