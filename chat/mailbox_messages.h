// SPDX-License-Identifier: Apache-2.0
// chat/mailbox_messages.h — one request to a place of the store and its answer, as they travel at the end of a circuit.
//
// Requests and answers are exactly kMailboxMessageSize bytes, zero-padded, big-endian; other padding is refused.
//   request   op 1, with kHoldAnswer or without; 1 PUT     ‖ envelope record body 1,913 (envelope.h)
//                   2 LIST    ‖ A_e 32 ‖ day 4 ‖ place 1 ‖ flags 1 (1 cursor, 2 waits) ‖ cursor: effort 4, id 32 ‖ signature 64
//                   3 DELETE  ‖ tombstone record body (tombstone.h)
//                   4 READ    ‖ kind 1 (3 bundle, 4 box) ‖ point 32
//                   5 PUT     ‖ box record body 1,961 (box.h)
//                   6 PUT     ‖ bundle record body 762 (bundle.h)
//   LIST is signed by a_e over H("door-list", network, KH, storing node's key, A_e, day, place, flags, effort, id): good for this
//   circuit and this node only, and never stored. One that waits is answered when an envelope comes (mailbox_endpoint.h).
//   answer    status 1, then for kPage   flags 1 (1 complete, 2 more, 4 an envelope follows) ‖ effort 4 ‖ stamp 16 ‖ sealed 1,856
//                       for kStored, kFull  detail 4 (the effort needed) ‖ count 1 (0..3) ‖ receipts 96 each (dht/receipt.h)
//                       for kRefused, kUnavailable  nothing: the same bytes whatever lies in the door
//                       for kRecord  flags 1 (1 complete, 2 a record follows) ‖ size 2 ‖ record body
// A page holds the first envelope behind the cursor in the order of Rank; there is no other way to get one. READ answers with the
// record of that kind that stays at the place; who can name the point of a box may have it.
#pragma once

#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "chat/box.h"
#include "chat/bundle.h"
#include "chat/envelope.h"
#include "chat/tombstone.h"
#include "circuits/endpoint.h"
#include "dht/receipt.h"

namespace chat {

inline constexpr size_t kMailboxMessageSize = circuits::kEndpointPayloadMax;
inline constexpr size_t kAnswerReceiptsMax = 3;  // R
// In the first byte of a request: answer no sooner than kAnswerHold (mailbox_endpoint.h). Taken off before it is decoded.
inline constexpr uint8_t kHoldAnswer = 0x80;

// Where a listing goes on: behind this envelope.
struct ListCursor {
  uint32_t effort = 0;
  dht::RecordId id{};

  bool operator==(const ListCursor&) const = default;
};

struct PutRequest {
  Envelope envelope;
};
struct ListRequest {
  Door door;
  uint8_t place = 0;
  std::optional<ListCursor> cursor;
  bool waits = false;
  keys::Signature signature{};
};
struct DeleteRequest {
  Tombstone tombstone;
};
struct ReadRequest {
  dht::Kind kind = dht::Kind::kBox;
  overlay::NodeId point;
};
struct PutBoxRequest {
  Box box;
};
struct PutBundleRequest {
  Bundle bundle;
};
using MailboxRequest = std::variant<PutRequest, ListRequest, DeleteRequest, ReadRequest, PutBoxRequest, PutBundleRequest>;

base::Bytes EncodeMailboxRequest(const MailboxRequest& request);
// InvalidArgument for anything EncodeMailboxRequest does not write.
absl::StatusOr<MailboxRequest> DecodeMailboxRequest(base::ByteView bytes);

// What a LIST is bound to, beside its own fields.
struct ListContext {
  std::string network;
  std::array<uint8_t, 32> channel_binding{};
  keys::PublicKey storage_node;
};
absl::StatusOr<ListRequest> SignList(const keys::SigningKey& identity, const ListContext& context, const Door& door,
                                     uint8_t place, std::optional<ListCursor> cursor, bool waits, base::Rng& rng);
bool VerifyList(const ListRequest& request, const ListContext& context);

enum class MailboxStatus : uint8_t {
  kStored = 1,   // stored, or held already, or deleted before: the same answer
  kFull = 2,     // of a box place: taken by another box
  kRefused = 3,  // malformed, wrong signature, wrong day: do not try again
  kPage = 4,
  kUnavailable = 5,  // this node cannot do it now; another replica may
  kRecord = 6,
};

struct MailboxAnswer {
  MailboxStatus status = MailboxStatus::kRefused;
  // kStored, kFull
  uint32_t detail = 0;
  std::vector<dht::Receipt> receipts;
  // kPage, kRecord
  bool complete = false;  // the union of two replicas; else more may lie there
  // kRecord
  std::optional<base::Bytes> record{};  // a body; none: nothing of that kind lies there
  // kPage
  bool more = false;
  struct Item {
    uint32_t effort = 0;
    std::array<uint8_t, kStampSize> stamp{};
    base::Bytes sealed;

    bool operator==(const Item&) const = default;
  };
  std::optional<Item> item;

  bool operator==(const MailboxAnswer&) const = default;
};

base::Bytes EncodeMailboxAnswer(const MailboxAnswer& answer);
// InvalidArgument for anything EncodeMailboxAnswer does not write.
absl::StatusOr<MailboxAnswer> DecodeMailboxAnswer(base::ByteView bytes);

}  // namespace chat
