// SPDX-License-Identifier: Apache-2.0
#include "dht/dht_wire.h"

#include <algorithm>

#include "base/byte_reader.h"
#include "base/byte_writer.h"
#include "base/overloaded.h"
#include "base/status_macros.h"
#include "proto/dht.pb.h"

namespace dht {
namespace {

namespace pb = bulbil::v1;

std::string Text(const base::Bytes& bytes) { return base::ToString(bytes); }

absl::Status Malformed() { return absl::InvalidArgumentError("malformed store message"); }

template <typename Message>
absl::StatusOr<Message> Parse(const std::string& bytes) {
  Message message;
  if (!message.ParseFromString(bytes)) return Malformed();
  return message;
}

base::Bytes EncodeHeldName(const HeldName& held) {
  base::ByteWriter writer;
  writer.Append(EncodeRecordName(held.name)).U64(static_cast<uint64_t>(absl::ToUnixSeconds(held.expiry)));
  return writer.Take();
}

absl::StatusOr<HeldName> DecodeHeldName(base::ByteView bytes) {
  base::ByteReader reader(bytes);
  const base::ByteView name = reader.Take(kRecordNameSize);
  const uint64_t expiry = reader.U64();
  if (!reader.Done() || expiry > (1ull << 40)) return Malformed();
  HeldName held;
  ASSIGN_OR_RETURN(held.name, DecodeRecordName(name));
  held.expiry = absl::FromUnixSeconds(static_cast<int64_t>(expiry));
  return held;
}

absl::StatusOr<overlay::NodeId> DecodePoint(const std::string& bytes) {
  base::ByteReader reader(base::AsBytes(bytes));
  const overlay::NodeId point{reader.Array<32>()};
  if (!reader.Done()) return Malformed();
  return point;
}

absl::StatusOr<overlay::RingRange> DecodeRange(const std::string& after, const std::string& last) {
  overlay::RingRange range;
  ASSIGN_OR_RETURN(range.after, DecodePoint(after));
  ASSIGN_OR_RETURN(range.last, DecodePoint(last));
  return range;
}

template <typename Field>
void EncodeDoubts(const std::vector<overlay::RingRange>& doubts, Field* field) {
  if (doubts.size() > kDoubtsListedMax) return;
  for (const overlay::RingRange& part : doubts) {
    field->Add(Text(base::ByteWriter().Append(part.after.view()).Append(part.last.view()).Take()));
  }
}

template <typename Field>
absl::StatusOr<std::vector<overlay::RingRange>> DecodeDoubts(const Field& field) {
  if (static_cast<size_t>(field.size()) > kDoubtsListedMax) return Malformed();
  std::vector<overlay::RingRange> doubts;
  for (const std::string& bytes : field) {
    base::ByteReader reader(base::AsBytes(bytes));
    const overlay::NodeId after{reader.Array<32>()}, last{reader.Array<32>()};
    if (!reader.Done()) return Malformed();
    doubts.push_back({.after = after, .last = last});
  }
  return doubts;
}

template <typename Field>
void EncodePeers(const std::vector<overlay::Peer>& peers, Field* field) {
  for (size_t i = 0; i < std::min(peers.size(), kResponsibleMax); ++i) field->Add(Text(overlay::EncodePeer(peers[i])));
}

template <typename Field>
absl::StatusOr<std::vector<overlay::Peer>> DecodePeers(const overlay::Network& network, const Field& field) {
  if (static_cast<size_t>(field.size()) > kResponsibleMax) return Malformed();
  std::vector<overlay::Peer> peers;
  for (const std::string& bytes : field) {
    ASSIGN_OR_RETURN(overlay::Peer peer, overlay::DecodePeer(network, base::AsBytes(bytes)));
    peers.push_back(std::move(peer));
  }
  return peers;
}

absl::StatusOr<PutResult> DecodeResult(int result) {
  if (result < 0 || result > static_cast<int>(PutResult::kNoSpace)) return Malformed();
  return static_cast<PutResult>(result);
}

template <typename Request>
absl::StatusOr<DhtRequest> DecodeCopiesRequest(const std::string& bytes) {
  ASSIGN_OR_RETURN(const pb::CopiesRequest message, Parse<pb::CopiesRequest>(bytes));
  if (message.records().empty() || static_cast<size_t>(message.records_size()) > kPutRecordsMax) return Malformed();
  Request request;
  for (const std::string& encoded : message.records()) {
    ASSIGN_OR_RETURN(Record record, DecodeRecord(base::AsBytes(encoded)));
    request.records.push_back(std::move(record));
  }
  return request;
}

absl::StatusOr<DhtRequest> DecodeGetRequest(const std::string& bytes) {
  ASSIGN_OR_RETURN(const pb::GetRequest message, Parse<pb::GetRequest>(bytes));
  ASSIGN_OR_RETURN(const RecordName name, DecodeRecordName(base::AsBytes(message.name())));
  return GetRequest{name};
}

absl::StatusOr<DhtRequest> DecodeFetchRequest(const std::string& bytes) {
  ASSIGN_OR_RETURN(const pb::FetchRequest message, Parse<pb::FetchRequest>(bytes));
  if (static_cast<size_t>(message.names_size()) > kFetchNamesMax) return Malformed();
  FetchRequest request;
  for (const std::string& encoded : message.names()) {
    ASSIGN_OR_RETURN(const RecordName name, DecodeRecordName(base::AsBytes(encoded)));
    request.names.push_back(name);
  }
  return request;
}

absl::StatusOr<DhtRequest> DecodeDigestRequest(const std::string& bytes) {
  ASSIGN_OR_RETURN(const pb::DigestRequest message, Parse<pb::DigestRequest>(bytes));
  ASSIGN_OR_RETURN(const overlay::RingRange range, DecodeRange(message.after(), message.last()));
  return DigestRequest{range};
}

absl::StatusOr<DhtRequest> DecodeNamesRequest(const std::string& bytes) {
  ASSIGN_OR_RETURN(const pb::NamesRequest message, Parse<pb::NamesRequest>(bytes));
  NamesRequest request;
  ASSIGN_OR_RETURN(request.range, DecodeRange(message.after(), message.last()));
  if (message.cursor().empty()) return request;
  ASSIGN_OR_RETURN(request.cursor, DecodeRecordName(base::AsBytes(message.cursor())));
  if (!request.range.Contains(request.cursor->point)) return Malformed();
  return request;
}

absl::StatusOr<DhtRequest> DecodeReconcileRequest(const std::string& bytes) {
  ASSIGN_OR_RETURN(const pb::ReconcileRequest message, Parse<pb::ReconcileRequest>(bytes));
  ReconcileRequest request{
      .after = message.after(), .last = message.last(), .exchange = message.exchange(), .first = message.first()};
  if (!message.print().empty()) {
    base::ByteReader reader(base::AsBytes(message.print()));
    request.print = reader.Array<16>();
    if (!reader.Done()) return Malformed();
  }
  std::optional<std::vector<CodedSymbol>> symbols = DecodeSymbols(base::AsBytes(message.symbols()));
  if (!symbols || symbols->size() > kSymbolsPageMax) return Malformed();
  request.symbols = *std::move(symbols);
  return request;
}

absl::StatusOr<DhtReply> DecodeGetReply(const overlay::Network& network, const std::string& bytes) {
  ASSIGN_OR_RETURN(const pb::GetReply message, Parse<pb::GetReply>(bytes));
  GetReply reply{.complete = message.complete()};
  if (!message.record().empty()) {
    ASSIGN_OR_RETURN(reply.record, DecodeRecord(base::AsBytes(message.record())));
  }
  ASSIGN_OR_RETURN(reply.responsible, DecodePeers(network, message.responsible()));
  return reply;
}

absl::StatusOr<CopyReply> ToCopy(const pb::CopyReply& message) {
  CopyReply reply{.detail = message.detail()};
  ASSIGN_OR_RETURN(reply.result, DecodeResult(message.result()));
  if (!message.receipt().empty()) {
    ASSIGN_OR_RETURN(reply.receipt, DecodeReceipt(base::AsBytes(message.receipt())));
  }
  return reply;
}

absl::StatusOr<DhtReply> DecodeCopiesReply(const std::string& bytes) {
  ASSIGN_OR_RETURN(const pb::CopiesReply message, Parse<pb::CopiesReply>(bytes));
  if (static_cast<size_t>(message.copies_size()) > kPutRecordsMax) return Malformed();
  CopiesReply reply;
  for (const pb::CopyReply& encoded : message.copies()) {
    ASSIGN_OR_RETURN(CopyReply copy, ToCopy(encoded));
    reply.copies.push_back(std::move(copy));
  }
  return reply;
}

absl::StatusOr<DhtReply> DecodeFetchReply(const std::string& bytes) {
  ASSIGN_OR_RETURN(const pb::FetchReply message, Parse<pb::FetchReply>(bytes));
  if (static_cast<size_t>(message.records_size()) > kFetchNamesMax) return Malformed();
  FetchReply reply;
  for (const std::string& encoded : message.records()) {
    ASSIGN_OR_RETURN(Record record, DecodeRecord(base::AsBytes(encoded)));
    reply.records.push_back(std::move(record));
  }
  return reply;
}

absl::StatusOr<DhtReply> DecodeDigestReply(const std::string& bytes) {
  ASSIGN_OR_RETURN(const pb::DigestReply message, Parse<pb::DigestReply>(bytes));
  DigestReply reply{.responsible = message.responsible(), .suspect = message.suspect()};
  base::ByteReader reader(base::AsBytes(message.fingerprint()));
  reply.print = {.count = message.count(), .sum = reader.Array<32>()};
  if (!reader.Done()) return Malformed();
  ASSIGN_OR_RETURN(reply.doubts, DecodeDoubts(message.doubts()));
  return reply;
}

absl::StatusOr<DhtReply> DecodeNamesReply(const std::string& bytes) {
  ASSIGN_OR_RETURN(const pb::NamesReply message, Parse<pb::NamesReply>(bytes));
  if (static_cast<size_t>(message.names_size()) > kNamesPageMax) return Malformed();
  NamesReply reply{.more = message.more()};
  for (const std::string& encoded : message.names()) {
    ASSIGN_OR_RETURN(const HeldName held, DecodeHeldName(base::AsBytes(encoded)));
    reply.names.push_back(held);
  }
  return reply;
}

// Records one after the other; each says how long its body is.
absl::StatusOr<std::vector<Record>> DecodeRecords(base::ByteView bytes) {
  std::vector<Record> records;
  while (!bytes.empty()) {
    if (bytes.size() < kRecordHeaderSize || records.size() == kFetchNamesMax) return Malformed();
    const uint64_t body_size = base::ByteReader(bytes.subspan(kRecordHeaderSize - 4)).U32();
    if (bytes.size() - kRecordHeaderSize < body_size) return Malformed();
    ASSIGN_OR_RETURN(Record record, DecodeRecord(bytes.first(kRecordHeaderSize + body_size)));
    records.push_back(std::move(record));
    bytes = bytes.subspan(kRecordHeaderSize + body_size);
  }
  return records;
}

absl::StatusOr<DhtReply> DecodeReconcileReply(const std::string& bytes) {
  ASSIGN_OR_RETURN(const pb::ReconcileReply message, Parse<pb::ReconcileReply>(bytes));
  if (message.state() < 0 || message.state() > static_cast<int>(ReconcileState::kFailed)) return Malformed();
  ReconcileReply reply{.state = static_cast<ReconcileState>(message.state()),
                       .exchange = message.exchange(),
                       .count = message.count(),
                       .salt = message.salt(),
                       .remaining = message.remaining()};
  reply.suspect = message.suspect();
  ASSIGN_OR_RETURN(reply.doubts, DecodeDoubts(message.doubts()));
  ASSIGN_OR_RETURN(reply.records, DecodeRecords(base::AsBytes(message.records())));
  return reply;
}

std::string EncodeCopies(const std::vector<Record>& records) {
  pb::CopiesRequest message;
  for (const Record& record : records) message.add_records(Text(EncodeRecord(record)));
  return message.SerializeAsString();
}
std::string Encode(const PutRequest& m) { return EncodeCopies(m.records); }
std::string Encode(const ReplicateRequest& m) { return EncodeCopies(m.records); }
std::string Encode(const GetRequest& m) {
  pb::GetRequest message;
  message.set_name(Text(EncodeRecordName(m.name)));
  return message.SerializeAsString();
}
std::string Encode(const FetchRequest& m) {
  pb::FetchRequest message;
  for (const RecordName& name : m.names) message.add_names(Text(EncodeRecordName(name)));
  return message.SerializeAsString();
}
std::string Encode(const DigestRequest& m) {
  pb::DigestRequest message;
  message.set_after(base::ToString(m.range.after.view()));
  message.set_last(base::ToString(m.range.last.view()));
  return message.SerializeAsString();
}
std::string Encode(const NamesRequest& m) {
  pb::NamesRequest message;
  message.set_after(base::ToString(m.range.after.view()));
  message.set_last(base::ToString(m.range.last.view()));
  if (m.cursor) message.set_cursor(Text(EncodeRecordName(*m.cursor)));
  return message.SerializeAsString();
}
std::string Encode(const GetReply& m) {
  pb::GetReply message;
  if (m.record) message.set_record(Text(EncodeRecord(*m.record)));
  message.set_complete(m.complete);
  EncodePeers(m.responsible, message.mutable_responsible());
  return message.SerializeAsString();
}
pb::CopyReply ToMessage(const CopyReply& m) {
  pb::CopyReply message;
  message.set_result(static_cast<pb::PutResult>(m.result));
  if (m.receipt) message.set_receipt(Text(EncodeReceipt(*m.receipt)));
  message.set_detail(m.detail);
  return message;
}
std::string Encode(const CopiesReply& m) {
  pb::CopiesReply message;
  for (const CopyReply& copy : m.copies) *message.add_copies() = ToMessage(copy);
  return message.SerializeAsString();
}
std::string Encode(const PutReply&) { return {}; }  // stays in this process
std::string Encode(const FetchReply& m) {
  pb::FetchReply message;
  for (const Record& record : m.records) message.add_records(Text(EncodeRecord(record)));
  return message.SerializeAsString();
}
std::string Encode(const DigestReply& m) {
  pb::DigestReply message;
  message.set_responsible(m.responsible);
  message.set_suspect(m.suspect);
  EncodeDoubts(m.doubts, message.mutable_doubts());
  message.set_count(m.print.count);
  message.set_fingerprint(base::ToString(m.print.sum));
  return message.SerializeAsString();
}
std::string Encode(const NamesReply& m) {
  pb::NamesReply message;
  for (const HeldName& held : m.names) message.add_names(Text(EncodeHeldName(held)));
  message.set_more(m.more);
  return message.SerializeAsString();
}
std::string Encode(const ReconcileRequest& m) {
  pb::ReconcileRequest message;
  message.set_after(m.after);
  message.set_last(m.last);
  if (m.print) message.set_print(base::ToString(*m.print));
  message.set_exchange(m.exchange);
  message.set_first(m.first);
  message.set_symbols(Text(EncodeSymbols(m.symbols)));
  return message.SerializeAsString();
}
std::string Encode(const ReconcileReply& m) {
  pb::ReconcileReply message;
  message.set_state(static_cast<pb::ReconcileState>(m.state));
  message.set_exchange(m.exchange);
  message.set_count(m.count);
  message.set_salt(m.salt);
  for (const Record& record : m.records) message.mutable_records()->append(Text(EncodeRecord(record)));
  message.set_remaining(m.remaining);
  message.set_suspect(m.suspect);
  EncodeDoubts(m.doubts, message.mutable_doubts());
  return message.SerializeAsString();
}

}  // namespace

std::string EncodeDhtRequest(const DhtRequest& request) {
  return std::visit([](const auto& message) { return Encode(message); }, request);
}

std::string EncodeDhtReply(const DhtReply& reply) {
  return std::visit([](const auto& message) { return Encode(message); }, reply);
}

absl::StatusOr<DhtRequest> DecodeDhtRequest(size_t method, const std::string& bytes) {
  switch (method) {
    case 0:
      return DecodeCopiesRequest<PutRequest>(bytes);
    case 1:
      return DecodeGetRequest(bytes);
    case 2:
      return DecodeCopiesRequest<ReplicateRequest>(bytes);
    case 3:
      return DecodeFetchRequest(bytes);
    case 4:
      return DecodeDigestRequest(bytes);
    case 5:
      return DecodeNamesRequest(bytes);
    case 6:
      return DecodeReconcileRequest(bytes);
    default:
      return Malformed();
  }
}

absl::StatusOr<DhtReply> DecodeDhtReply(const overlay::Network& network, size_t method, const std::string& bytes) {
  switch (method) {
    case 0:
    case 2:
      return DecodeCopiesReply(bytes);
    case 1:
      return DecodeGetReply(network, bytes);
    case 3:
      return DecodeFetchReply(bytes);
    case 4:
      return DecodeDigestReply(bytes);
    case 5:
      return DecodeNamesReply(bytes);
    case 6:
      return DecodeReconcileReply(bytes);
    default:
      return Malformed();
  }
}

}  // namespace dht
