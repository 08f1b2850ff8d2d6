// SPDX-License-Identifier: Apache-2.0
#include "chat/mailbox_messages.h"

#include <algorithm>

#include "base/byte_reader.h"
#include "base/byte_writer.h"
#include "base/check.h"
#include "base/overloaded.h"
#include "base/status_macros.h"
#include "keys/blinded_key.h"
#include "keys/hash.h"

namespace chat {

namespace {

enum class Op : uint8_t { kPut = 1, kList = 2, kDelete = 3, kRead = 4, kPutBox = 5, kPutBundle = 6 };
constexpr uint8_t kHasCursor = 1, kWaits = 2;  // flags of LIST

constexpr uint8_t kFlagComplete = 1, kFlagMore = 2, kFlagItem = 4;
constexpr uint8_t kFlagRecord = 2;  // of kRecord
constexpr size_t kTombstoneHeadSize = 38;

static_assert(1 + kEnvelopeBodySize <= kMailboxMessageSize);
static_assert(1 + kTombstoneHeadSize + 32 * kTombstoneIdsMax + 64 <= kMailboxMessageSize);
static_assert(1 + 1 + 4 + kStampSize + kSealedSize <= kMailboxMessageSize);
static_assert(1 + 1 + 2 + std::max(kBoxBodySize, kBundleBodySize) <= kMailboxMessageSize);

absl::Status Malformed() { return absl::InvalidArgumentError("malformed mailbox message"); }

base::Bytes Pad(base::ByteWriter out) {
  base::Bytes bytes = out.Take();
  CHECK(bytes.size() <= kMailboxMessageSize);
  bytes.resize(kMailboxMessageSize, 0);
  return bytes;
}

bool AllZero(base::ByteView bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](uint8_t byte) { return byte == 0; });
}

// All of LIST but its signature.
void AppendListFields(base::ByteWriter& out, const ListRequest& list) {
  const ListCursor cursor = list.cursor.value_or(ListCursor{});
  out.Append(list.door.blinded.view()).U32(list.door.day).U8(list.place);
  out.U8((list.cursor ? kHasCursor : 0) | (list.waits ? kWaits : 0)).U32(cursor.effort).Append(cursor.id);
}

absl::StatusOr<ListRequest> ReadList(base::ByteReader& in) {
  ListRequest list;
  list.door.blinded.bytes = in.Array<32>();
  list.door.day = in.U32();
  list.place = in.U8();
  const uint8_t flags = in.U8();
  ListCursor cursor;
  cursor.effort = in.U32();
  cursor.id = in.Array<32>();
  list.signature = in.Array<64>();
  const bool has_cursor = (flags & kHasCursor) != 0;
  list.waits = (flags & kWaits) != 0;
  if (has_cursor) list.cursor = cursor;
  const bool empty_cursor = cursor == ListCursor{};
  if (list.place >= kPlaceCount || (flags & ~(kHasCursor | kWaits)) != 0 || (!has_cursor && !empty_cursor)) return Malformed();
  return list;
}

// A tombstone has a length of its own inside the padding.
absl::StatusOr<DeleteRequest> ReadDelete(base::ByteReader& in, base::ByteView rest) {
  const size_t size = kTombstoneHeadSize + 32 * TombstoneIdCount(rest) + 64;
  ASSIGN_OR_RETURN(Tombstone tombstone, DecodeTombstone(in.Take(size)));
  return DeleteRequest{std::move(tombstone)};
}

absl::StatusOr<ReadRequest> ReadRead(base::ByteReader& in) {
  ReadRequest read;
  read.kind = static_cast<dht::Kind>(in.U8());
  read.point.bytes = in.Array<32>();
  if (read.kind != dht::Kind::kBundle && read.kind != dht::Kind::kBox) return Malformed();
  return read;
}

keys::Digest ListDigest(const ListRequest& request, const ListContext& context) {
  base::ByteWriter fields;
  AppendListFields(fields, request);
  return keys::Hasher("door-list")
      .Add(context.network)
      .Add(context.channel_binding)
      .Add(context.storage_node.view())
      .Add(fields.bytes())
      .Finish();
}

void AppendPage(base::ByteWriter& out, const MailboxAnswer& answer) {
  out.U8(static_cast<uint8_t>((answer.complete ? kFlagComplete : 0) | (answer.more ? kFlagMore : 0) |
                              (answer.item ? kFlagItem : 0)));
  if (answer.item) out.U32(answer.item->effort).Append(answer.item->stamp).Append(answer.item->sealed);
}

void AppendPutOutcome(base::ByteWriter& out, const MailboxAnswer& answer) {
  const size_t count = std::min(answer.receipts.size(), kAnswerReceiptsMax);
  out.U32(answer.detail).U8(static_cast<uint8_t>(count));
  for (size_t i = 0; i < count; ++i) out.Append(dht::EncodeReceipt(answer.receipts[i]));
}

void AppendRecord(base::ByteWriter& out, const MailboxAnswer& answer) {
  out.U8(static_cast<uint8_t>((answer.complete ? kFlagComplete : 0) | (answer.record ? kFlagRecord : 0)));
  if (answer.record) out.Long(*answer.record);
}

bool ReadRecord(base::ByteReader& in, MailboxAnswer& answer) {
  const uint8_t flags = in.U8();
  answer.complete = (flags & kFlagComplete) != 0;
  if ((flags & kFlagRecord) != 0) answer.record = base::ToBytes(in.Long());
  return flags <= (kFlagComplete | kFlagRecord);
}

bool ReadPage(base::ByteReader& in, MailboxAnswer& answer) {
  const uint8_t flags = in.U8();
  answer.complete = (flags & kFlagComplete) != 0;
  answer.more = (flags & kFlagMore) != 0;
  if ((flags & kFlagItem) != 0) {
    MailboxAnswer::Item item;
    item.effort = in.U32();
    item.stamp = in.Array<kStampSize>();
    item.sealed = base::ToBytes(in.Take(kSealedSize));
    answer.item = std::move(item);
  }
  return flags <= (kFlagComplete | kFlagMore | kFlagItem) && (answer.item || !answer.more);
}

bool ReadPutOutcome(base::ByteReader& in, MailboxAnswer& answer) {
  answer.detail = in.U32();
  const size_t count = in.U8();
  if (count > kAnswerReceiptsMax) return false;
  for (size_t i = 0; i < count; ++i) {
    const auto receipt = dht::DecodeReceipt(in.Take(dht::kReceiptSize));
    if (!receipt.ok()) return false;
    answer.receipts.push_back(*receipt);
  }
  return true;
}

bool ReadAnswerBody(base::ByteReader& in, MailboxAnswer& answer) {
  switch (answer.status) {
    case MailboxStatus::kStored:
    case MailboxStatus::kFull:
      return ReadPutOutcome(in, answer);
    case MailboxStatus::kPage:
      return ReadPage(in, answer);
    case MailboxStatus::kRecord:
      return ReadRecord(in, answer);
    case MailboxStatus::kRefused:
    case MailboxStatus::kUnavailable:
      return true;
  }
  return false;
}

}  // namespace

base::Bytes EncodeMailboxRequest(const MailboxRequest& request) {
  base::ByteWriter out;
  const auto op = [&](Op value) -> base::ByteWriter& { return out.U8(static_cast<uint8_t>(value)); };
  std::visit(base::Overloaded{
                 [&](const PutRequest& put) { op(Op::kPut).Append(EncodeEnvelope(put.envelope)); },
                 [&](const ListRequest& list) {
                   AppendListFields(op(Op::kList), list);
                   out.Append(list.signature);
                 },
                 [&](const DeleteRequest& del) { op(Op::kDelete).Append(EncodeTombstone(del.tombstone)); },
                 [&](const ReadRequest& read) { op(Op::kRead).U8(static_cast<uint8_t>(read.kind)).Append(read.point.view()); },
                 [&](const PutBoxRequest& put) { op(Op::kPutBox).Append(EncodeBox(put.box)); },
                 [&](const PutBundleRequest& put) { op(Op::kPutBundle).Append(EncodeBundle(put.bundle)); }},
             request);
  return Pad(std::move(out));
}

absl::StatusOr<MailboxRequest> DecodeMailboxRequest(base::ByteView bytes) {
  if (bytes.size() != kMailboxMessageSize) return Malformed();
  base::ByteReader in(bytes);
  MailboxRequest request;
  switch (static_cast<Op>(in.U8())) {
    case Op::kPut: {
      ASSIGN_OR_RETURN(Envelope envelope, DecodeEnvelope(in.Take(kEnvelopeBodySize)));
      request = PutRequest{std::move(envelope)};
      break;
    }
    case Op::kList: {
      ASSIGN_OR_RETURN(request, ReadList(in));
      break;
    }
    case Op::kDelete: {
      ASSIGN_OR_RETURN(request, ReadDelete(in, bytes.subspan(1)));
      break;
    }
    case Op::kRead: {
      ASSIGN_OR_RETURN(request, ReadRead(in));
      break;
    }
    case Op::kPutBox: {
      ASSIGN_OR_RETURN(Box box, DecodeBox(in.Take(kBoxBodySize)));
      request = PutBoxRequest{std::move(box)};
      break;
    }
    case Op::kPutBundle: {
      ASSIGN_OR_RETURN(Bundle bundle, DecodeBundle(in.Take(kBundleBodySize)));
      request = PutBundleRequest{std::move(bundle)};
      break;
    }
    default:
      return Malformed();
  }
  if (!in.ok() || !AllZero(in.Rest())) return Malformed();
  return request;
}

absl::StatusOr<ListRequest> SignList(const keys::SigningKey& identity, const ListContext& context, const Door& door,
                                     uint8_t place, std::optional<ListCursor> cursor, bool waits, base::Rng& rng) {
  ListRequest request{door, place, cursor, waits, {}};
  ASSIGN_OR_RETURN(request.signature, keys::SignBlinded(identity, context.network, door.day, ListDigest(request, context), rng));
  return request;
}

bool VerifyList(const ListRequest& request, const ListContext& context) {
  return keys::Verify(request.door.blinded, ListDigest(request, context), request.signature);
}

base::Bytes EncodeMailboxAnswer(const MailboxAnswer& answer) {
  base::ByteWriter out;
  out.U8(static_cast<uint8_t>(answer.status));
  if (answer.status == MailboxStatus::kPage) AppendPage(out, answer);
  if (answer.status == MailboxStatus::kRecord) AppendRecord(out, answer);
  if (answer.status == MailboxStatus::kStored || answer.status == MailboxStatus::kFull) AppendPutOutcome(out, answer);
  return Pad(std::move(out));
}

absl::StatusOr<MailboxAnswer> DecodeMailboxAnswer(base::ByteView bytes) {
  if (bytes.size() != kMailboxMessageSize) return Malformed();
  base::ByteReader in(bytes);
  MailboxAnswer answer;
  answer.status = static_cast<MailboxStatus>(in.U8());
  if (!ReadAnswerBody(in, answer) || !in.ok() || !AllZero(in.Rest())) return Malformed();
  return answer;
}

}  // namespace chat
