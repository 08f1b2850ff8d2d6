// SPDX-License-Identifier: Apache-2.0
// dht/dht_messages.h — what storing nodes ask of each other, as plain structs; dht_wire.h turns them into proto/dht.proto.
#pragma once

#include <array>
#include <optional>
#include <variant>
#include <vector>

#include "dht/coded_symbols.h"
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

struct PutRequest {  // copies for this replica, judged as clients' puts; the asker makes the others
  std::vector<Record> records;
};
struct ReplicateRequest {  // copies between replicas
  std::vector<Record> records;
};
struct CopyReply {
  PutResult result = PutResult::kUnknown;
  std::optional<Receipt> receipt = {};  // with kStored
  uint32_t detail = 0;
};
struct CopiesReply {  // to both: of the records, in their order
  std::vector<CopyReply> copies;
};
struct PutReply {  // to who put a record at this node; never on the wire
  PutResult result = PutResult::kUnknown;
  std::vector<Receipt> receipts;  // of distinct nodes, not verified (put_rounds.h); to a node its own alone
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
  bool suspect = false;      // and may lack records of it: no witness of absence (witness.h)
  RangePrint print;
  std::vector<overlay::RingRange> doubts{};  // suspect: of which parts; none: of all
};
struct NamesRequest {
  overlay::RingRange range;
  std::optional<RecordName> cursor;  // the last name of the page before
};
struct NamesReply {
  std::vector<HeldName> names;  // name and expiry travel, body_size does not
  bool more = false;
};
// One step of an exchange by coded symbols: opens it (`print`), goes on with symbols, or asks for further records (no symbols).
struct ReconcileRequest {
  uint64_t after = 0, last = 0;                    // opens: PointPrefix of the range's ends
  std::optional<std::array<uint8_t, 16>> print{};  // ShortPrint
  uint32_t exchange = 0;
  uint32_t first = 0;
  std::vector<CodedSymbol> symbols{};
};
enum class ReconcileState {
  kNotHolder = 0,
  kUnknownRange = 1,  // the ends are not points the answerer knows, or there is no such exchange
  kEqual = 2,
  kDiffers = 3,  // exchange, count and salt are set
  kMoreSymbols = 4,
  kRecords = 5,
  kFailed = 6,  // compare by ranges
};
struct ReconcileReply {
  ReconcileState state = ReconcileState::kNotHolder;
  uint32_t exchange = 0;
  uint64_t count = 0;
  uint64_t salt = 0;
  std::vector<Record> records{};
  uint32_t remaining = 0;
  bool suspect = false;  // kEqual, kDiffers: as in DigestReply
  std::vector<overlay::RingRange> doubts{};
};

using DhtRequest =
    std::variant<PutRequest, GetRequest, ReplicateRequest, FetchRequest, DigestRequest, NamesRequest, ReconcileRequest>;
using DhtReply = std::variant<CopiesReply, GetReply, FetchReply, DigestReply, NamesReply, ReconcileReply, PutReply>;

// Bounds of a message (overlay::kRpcMessageMax is 128 KiB).
inline constexpr size_t kPutRecordsMax = 64;          // of Put and Replicate, at least one; and kFetchBytesMax
inline constexpr size_t kFetchNamesMax = 512;         // 65 bytes each
inline constexpr size_t kFetchBytesMax = 112 * 1024;  // records of one answer, but for a first one that is larger
inline constexpr size_t kNamesPageMax = 1024;         // 73 bytes each
inline constexpr size_t kSymbolsPageMax = 8192;       // 10 bytes each
inline constexpr size_t kDoubtsListedMax = 16;        // 64 bytes each; beyond it all is doubted
inline constexpr size_t kResponsibleMax = 16;         // peers named in an answer: R + 1 and a margin

}  // namespace dht
