// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/targets.h"

#include <algorithm>
#include <iterator>

#include "base/check.h"
#include "chat/mailbox_messages.h"
#include "chat/note.h"
#include "chat/ratchet.h"
#include "chat/tombstone.h"
#include "circuits/relay_cell.h"
#include "dht/dht_wire.h"
#include "dht/memory_record_store.h"
#include "dht/range_sync.h"
#include "dht/receipt.h"
#include "dht/reconcile_server.h"
#include "dht/record.h"
#include "keys/address.h"
#include "keys/certificate.h"
#include "overlay/cell.h"
#include "overlay/contradiction.h"
#include "overlay/descriptor.h"
#include "overlay/link_frame.h"
#include "overlay/routing_table.h"
#include "overlay/rpc.h"
#include "tests/support/seeded_rng.h"

namespace fuzz {
namespace {

using base::Bytes;
using base::ByteView;

const absl::Time kNow = absl::FromUnixSeconds(1'795'000'000);
const overlay::Network kNetwork = overlay::Network::Local();

support::SeededRng& Rng() {
  static support::SeededRng rng(99);
  return rng;
}
const keys::SigningKey& Key() {
  static const keys::SigningKey key = keys::SigningKey::Generate(Rng());
  return key;
}
bool Same(ByteView a, ByteView b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }
Bytes Random(size_t size) {
  Bytes bytes(size);
  Rng().Fill(bytes);
  return bytes;
}

void RunDescriptor(ByteView bytes) {
  const auto decoded = overlay::DecodeDescriptor(kNetwork, bytes, kNow);
  if (decoded.ok()) CHECK(Same(decoded->encoded, bytes));
}
std::vector<Bytes> ValidDescriptor() {
  return {overlay::SignDescriptor(kNetwork, Key(), {1}, overlay::Role::kRelay, "127.0.0.1:1", {}, kNow).encoded,
          overlay::SignDescriptor(kNetwork, Key(), {2}, overlay::Role::kStoring, "[::1]:65535", {}, kNow).encoded};
}

void RunTable(ByteView bytes) {
  const auto decoded = overlay::DecodeTable(kNetwork, bytes, kNow);
  if (decoded.ok()) CHECK(decoded->Members().size() <= 1 + 2 * overlay::kTableNeighbours + overlay::kTableFingersMax);
}
std::vector<Bytes> ValidTable() {
  overlay::RoutingTable table;
  table.owner = overlay::MakePeer(kNetwork, Key().public_key(), 0, overlay::Role::kStoring, "127.0.0.1:1");
  overlay::SignTable(kNetwork, Key(), table, kNow);
  const Bytes alone = table.encoded;
  const keys::SigningKey other = keys::SigningKey::Generate(Rng());
  table.successors = {overlay::MakePeer(kNetwork, other.public_key(), 0, overlay::Role::kRelay, "127.0.0.1:2")};
  table.predecessors = table.successors;
  overlay::SignTable(kNetwork, Key(), table, kNow);
  return {alone, table.encoded};
}

void RunContradiction(ByteView bytes) {
  const auto said = overlay::ReadAccusation(kNetwork, bytes);
  const auto decoded = overlay::DecodeContradiction(kNetwork, bytes, kNow);
  if (!decoded.ok()) return;
  CHECK(Same(decoded->encoded, bytes) && said && said->accused == decoded->signer() && said->until == decoded->until());
}
std::vector<Bytes> ValidContradiction() {
  overlay::RoutingTable one, other;
  one.owner = other.owner = overlay::MakePeer(kNetwork, Key().public_key(), 0, overlay::Role::kStoring, "127.0.0.1:1");
  one.successors = {overlay::MakePeer(kNetwork, keys::PublicKey{{1}}, 0, overlay::Role::kRelay, "127.0.0.1:2")};
  overlay::SignTable(kNetwork, Key(), one, kNow);
  overlay::SignTable(kNetwork, Key(), other, kNow);
  return {overlay::MakeContradiction(overlay::HeadOf(one), overlay::HeadOf(other)).encoded};
}

void RunPeer(ByteView bytes) {
  const auto decoded = overlay::DecodePeer(kNetwork, bytes);
  if (decoded.ok()) CHECK(Same(overlay::EncodePeer(*decoded), bytes));
}
std::vector<Bytes> ValidPeer() {
  return {overlay::EncodePeer(overlay::MakePeer(kNetwork, Key().public_key(), 0, overlay::Role::kStoring, "127.0.0.1:1"))};
}

void RunCell(ByteView bytes) {
  overlay::Cell cell;
  std::copy_n(bytes.begin(), std::min(bytes.size(), overlay::kCellSize), cell.bytes.begin());
  if (overlay::CheckCell(cell).ok()) CHECK(Same(base::ByteView(cell.bytes).subspan(5, 3), Bytes(3)));
}
std::vector<Bytes> ValidCell() {
  overlay::Cell cell(7, overlay::CellCommand::kRelay);
  return {base::ToBytes(cell.bytes)};
}

void RunFrame(ByteView bytes) {
  size_t cells = 0;
  const size_t cut = bytes.size() / 3;
  const auto read = overlay::ReadFrame({bytes.first(cut), bytes.subspan(cut)}, [&](overlay::Cell&) { return ++cells < 100; });
  if (read.ok()) CHECK(cells * overlay::kCellSize == bytes.size());
}
std::vector<Bytes> ValidFrame() {
  Bytes frame = ValidCell()[0];
  const Bytes second = frame;
  frame.insert(frame.end(), second.begin(), second.end());
  return {frame};
}

void RunRelayCell(ByteView bytes) {
  if (bytes.size() < overlay::kCellBodySize) return;
  const auto decoded = circuits::DecodeRelayCell(bytes.first<overlay::kCellBodySize>());
  if (!decoded.ok()) return;
  CHECK(decoded->payload.size() <= circuits::kRelayPayloadMax);
  (void)circuits::DecodeExtend(decoded->payload);
  (void)circuits::DecodeDescriptorKeys(decoded->payload);
  circuits::TableAssembly assembly;
  (void)assembly.Add(decoded->payload);
}
std::vector<Bytes> ValidRelayCell() {
  std::vector<Bytes> cells;
  const Bytes payloads[] = {circuits::EncodeExtend(Random(keys::kOnionSkinSize), ValidDescriptor()[0]),
                            circuits::EncodeDescriptorKeys({Key().public_key()}), circuits::SplitTable(ValidTable()[1])[0]};
  for (const Bytes& payload : payloads) {
    Bytes body(overlay::kCellBodySize);
    circuits::EncodeRelayCell(circuits::RelayCommand::kExtend, payload, Rng(), circuits::RelayBody(body));
    cells.push_back(std::move(body));
  }
  return cells;
}

void RunRecord(ByteView bytes) {
  static const dht::RecordKinds kinds;
  const auto decoded = dht::DecodeRecord(bytes);
  if (!decoded.ok()) return;
  CHECK(Same(dht::EncodeRecord(*decoded), bytes));
  (void)kinds.Check(*decoded, dht::Source::kClient, kNow);
  (void)chat::ReadEnvelopeRecord(*decoded);
  (void)chat::ReadTombstoneRecord(*decoded);
}
chat::Envelope AnEnvelope() {
  const auto door = chat::DoorOf(Key().public_key(), kNetwork.name, 20775);
  CHECK(door.ok());
  chat::Envelope envelope;
  envelope.door = *door;
  envelope.sealed = Random(chat::kSealedSize);
  return envelope;
}
chat::Tombstone ATombstone() {
  auto tombstone = chat::SignTombstone(Key(), kNetwork.name, 20775, 1, {{1}, {2}}, Rng());
  CHECK(tombstone.ok());
  return *tombstone;
}
std::vector<Bytes> ValidRecord() {
  return {dht::EncodeRecord(dht::MakeBlob(Random(40), kNow + absl::Hours(1))),
          dht::EncodeRecord(chat::MakeEnvelopeRecord(AnEnvelope())), dht::EncodeRecord(chat::MakeTombstoneRecord(ATombstone()))};
}

// A replica that holds a hundred records, and another one that pulls from it: what either of them may be told.
struct ReconcilePair {
  ReconcilePair() {
    replicas.Update({.self = self, .member = true, .successors = {other}, .predecessors = {other}});
    for (int i = 0; i < 100; ++i) {
      const dht::Record record = dht::MakeBlob(Random(40), kNow + absl::Hours(1));
      CHECK(store.Apply({.puts = {record}}).ok());
      index.Put(record.name, record.expiry);
    }
  }
  static overlay::Peer NewPeer() {
    const keys::SigningKey key = keys::SigningKey::Generate(Rng());
    return overlay::MakePeer(kNetwork, key.public_key(), 0, overlay::Role::kStoring, "127.0.0.1:1");
  }
  dht::ReconcileRequest Opening() const {
    return {.after = dht::PointPrefix(other.point), .last = dht::PointPrefix(self.point), .print = std::array<uint8_t, 16>{1}};
  }
  // Does what is wanted but for answers; at most one answer to each question.
  std::vector<dht::DhtReply> Settle() {
    std::vector<dht::DhtReply> replies;
    for (dht::DhtActions actions = out.Take(); !actions.empty(); actions = out.Take()) {
      for (dht::DhtAction& action : actions) {
        if (auto* write = std::get_if<dht::Write>(&action)) admitter.OnApplied(write->id, absl::ResourceExhaustedError(""), now);
        if (auto* call = std::get_if<dht::Call>(&action)) asked = call->id;
        if (auto* respond = std::get_if<dht::Respond>(&action)) {
          CHECK(respond->id == 1);
          if (respond->reply.ok()) replies.push_back(*respond->reply);
        }
      }
      symbols.OnTick(now);
    }
    return replies;
  }

  const dht::Moment now{kNow, kNow};
  const overlay::Peer self = NewPeer(), other = NewPeer();
  dht::RecordKinds kinds;
  dht::MemoryRecordStore store;
  dht::Outbox out;
  dht::ReplicaSet replicas{3};
  dht::RangeIndex index{7};
  dht::Witness witness{store};
  dht::Admitter admitter{kinds, store, index, ~0ull, out};
  dht::KeptSymbols symbols{index};
  dht::RangeServer ranges{replicas, store, index, witness};
  dht::ReconcileServer server{replicas, index, symbols, witness, ranges, admitter, out};
  dht::RangeSync sync{kinds, store, index, symbols, admitter, out};
  dht::CallId asked = 0;
};

constexpr size_t kReconcileMethod = 6;

// An exchange is opened as it should be; then comes what was made up, as its next step or as an opening of its own.
void RunReconcileRequest(ByteView bytes) {
  const auto decoded = dht::DecodeDhtRequest(kReconcileMethod, base::ToString(bytes));
  if (!decoded.ok()) return;
  ReconcilePair pair;
  pair.server.Answer(1, {pair.other}, pair.Opening(), /*serving=*/true, pair.now);
  CHECK(pair.Settle().size() == 1);
  pair.server.Answer(1, {pair.other}, std::get<dht::ReconcileRequest>(*decoded), /*serving=*/true, pair.now);
  const std::vector<dht::DhtReply> replies = pair.Settle();
  CHECK(replies.size() <= 1);
  if (!replies.empty()) CHECK(dht::EncodeDhtReply(replies[0]).size() < overlay::kRpcMessageMax);
}
std::vector<Bytes> ValidReconcileRequest() {
  const auto encode = [](const dht::ReconcileRequest& request) {
    return base::ToBytes(base::AsBytes(dht::EncodeDhtRequest(request)));
  };
  return {encode(ReconcilePair().Opening()), encode({.exchange = 1, .symbols = {{1, 2}, {3, 4}}}), encode({.exchange = 1})};
}

// A pull of every sort is under way; its answer is made up, and repeated as often as it is asked for again.
void RunReconcileReply(ByteView bytes) {
  const auto decoded = dht::DecodeDhtReply(kNetwork, kReconcileMethod, base::ToString(bytes));
  if (!decoded.ok()) return;
  ReconcilePair pair;
  bool done = false;
  const overlay::RingRange range{.after = pair.other.point, .last = pair.self.point};
  pair.sync.Start(
      {.from = pair.other, .range = range, .compare = dht::Compare::kSymbols},
      [&](const dht::SyncOutcome&, const dht::Moment&) { done = true; }, pair.now);
  constexpr int kAnswersMax = 10'000;  // one that answers for ever the same must be given up before
  for (int i = 0; !done && i < kAnswersMax; ++i) {
    pair.Settle();
    const dht::CallId asked = std::exchange(pair.asked, 0);
    if (asked != 0) {
      pair.out.Deliver(asked, *decoded, pair.now);
    } else {
      pair.sync.OnTick({kNow + absl::Hours(1), kNow});
    }
  }
  CHECK(done);
}
std::vector<Bytes> ValidReconcileReply() {
  const auto encode = [](const dht::ReconcileReply& reply) { return base::ToBytes(base::AsBytes(dht::EncodeDhtReply(reply))); };
  const dht::Record record = dht::MakeBlob(Random(40), kNow + absl::Hours(1));
  using State = dht::ReconcileState;
  return {encode({.state = State::kEqual}), encode({.state = State::kDiffers, .exchange = 1, .count = 301, .salt = 9}),
          encode({.state = State::kMoreSymbols}), encode({.state = State::kRecords, .records = {record}, .remaining = 1})};
}

void RunReceipt(ByteView bytes) { (void)dht::DecodeReceipt(bytes); }
std::vector<Bytes> ValidReceipt() { return {Random(96)}; }

chat::Box ABox() {
  return chat::MakeBox(keys::WipedArray<32>(), kNetwork.name, Random(chat::kBoxSealedSize), chat::BoxExpiry(kNow));
}
chat::Bundle ABundle() { return *chat::SealBundle(Key(), kNetwork.name, chat::DayOf(kNow), 2, 7, {}, Rng()); }

void RunBox(ByteView bytes) {
  const auto decoded = chat::DecodeBox(bytes);
  if (!decoded.ok()) return;
  CHECK(Same(chat::EncodeBox(*decoded), bytes));
  CHECK(chat::ReadBoxRecord(chat::MakeBoxRecord(*decoded)).ok());
}
std::vector<Bytes> ValidBox() { return {chat::EncodeBox(ABox())}; }

void RunBundle(ByteView bytes) {
  const auto decoded = chat::DecodeBundle(bytes);
  if (!decoded.ok()) return;
  CHECK(Same(chat::EncodeBundle(*decoded), bytes));
  (void)chat::OpenBundle(Key().public_key(), kNetwork.name, *decoded);
}
std::vector<Bytes> ValidBundle() { return {chat::EncodeBundle(ABundle())}; }

struct ASession {
  ASession() {
    const keys::X25519KeyPair prekey = keys::X25519KeyPair::Generate(Rng());
    const auto start = chat::StartX3dh(Key(), kNetwork.name, Key().public_key(), prekey.public_key, {}, {}, Rng());
    state = chat::Ratchet::Responder(start->secrets, prekey).Serialize();
    auto sender = chat::Ratchet::Initiator(start->secrets, prekey.public_key, Rng());
    message = sender->Seal({}, Random(30), Rng());
  }
  Bytes state, message;
};

void RunRatchetMessage(ByteView bytes) {
  static const ASession session;
  auto ratchet = chat::Ratchet::Parse(session.state);
  if (!ratchet->Open({}, bytes, Rng()).ok()) CHECK(ratchet->Serialize() == session.state);
}
std::vector<Bytes> ValidRatchetMessage() { return {ASession().message}; }

void RunRatchetState(ByteView bytes) {
  const auto ratchet = chat::Ratchet::Parse(bytes);
  if (ratchet.ok()) CHECK(ratchet->Serialize().size() == bytes.size());
}
std::vector<Bytes> ValidRatchetState() { return {ASession().state}; }

void RunMailboxRequest(ByteView bytes) {
  const auto decoded = chat::DecodeMailboxRequest(bytes);
  if (decoded.ok()) CHECK(chat::DecodeMailboxRequest(chat::EncodeMailboxRequest(*decoded)).ok());
}
std::vector<Bytes> ValidMailboxRequest() {
  const chat::Envelope envelope = AnEnvelope();
  const auto list =
      chat::SignList(Key(), {kNetwork.name, {}, Key().public_key()}, envelope.door, 2, std::nullopt, /*waits=*/true, Rng());
  CHECK(list.ok());
  return {chat::EncodeMailboxRequest(chat::PutRequest{envelope}),
          chat::EncodeMailboxRequest(*list),
          chat::EncodeMailboxRequest(chat::DeleteRequest{ATombstone()}),
          chat::EncodeMailboxRequest(chat::PutBoxRequest{ABox()}),
          chat::EncodeMailboxRequest(chat::PutBundleRequest{ABundle()}),
          chat::EncodeMailboxRequest(chat::ReadRequest{dht::Kind::kBox, chat::BoxPoint(ABox().key, 1)})};
}

void RunMailboxAnswer(ByteView bytes) {
  const auto decoded = chat::DecodeMailboxAnswer(bytes);
  if (decoded.ok()) CHECK(chat::DecodeMailboxAnswer(chat::EncodeMailboxAnswer(*decoded)).value() == *decoded);
}
std::vector<Bytes> ValidMailboxAnswer() {
  chat::MailboxAnswer page;
  page.status = chat::MailboxStatus::kPage;
  page.item = chat::MailboxAnswer::Item{0, {}, Random(chat::kSealedSize)};
  chat::MailboxAnswer record{chat::MailboxStatus::kRecord};
  record.record = chat::EncodeBox(ABox());
  return {chat::EncodeMailboxAnswer(page), chat::EncodeMailboxAnswer({}), chat::EncodeMailboxAnswer(record)};
}

void RunFragment(ByteView bytes) {
  const auto decoded = chat::DecodeFragment(bytes);
  if (decoded.ok()) CHECK(Same(chat::EncodeFragment(*decoded), bytes));
}
std::vector<Bytes> ValidFragment() {
  const Bytes text = Random(5000);
  const auto fragments = chat::SplitNote(text, kNetwork.name, Key().public_key(), &Key(), kNow, Rng());
  CHECK(fragments.ok());
  std::vector<Bytes> plains;
  for (const chat::Fragment& fragment : *fragments) plains.push_back(chat::EncodeFragment(fragment));
  return plains;
}

void RunEnvelope(ByteView bytes) {
  const auto decoded = chat::DecodeEnvelope(bytes);
  if (decoded.ok()) CHECK(Same(chat::EncodeEnvelope(*decoded), bytes));
  (void)chat::OpenEnvelope(Key(), kNetwork.name, Key().public_key(), bytes);
}
std::vector<Bytes> ValidEnvelope() { return {chat::EncodeEnvelope(AnEnvelope())}; }

void RunAddress(ByteView bytes) {
  const std::string text = base::ToString(bytes);
  const auto address = keys::ParseAddress(text);
  if (address.ok()) CHECK(keys::ParseAddress(keys::FormatAddress(*address)).value() == *address);
  (void)keys::ParseSecretKey(text);
}
std::vector<Bytes> ValidAddress() {
  return {base::ToBytes(base::AsBytes(keys::FormatAddress(Key().public_key()))),
          base::ToBytes(base::AsBytes(keys::FormatSecretKey(Key())))};
}

void RunCertificate(ByteView bytes) { (void)keys::KeyOfCertificate(base::AsText(bytes)); }
std::vector<Bytes> ValidCertificate() {
  return {base::ToBytes(base::AsBytes(keys::MakeTlsIdentity(Key(), Rng()).certificate_pem))};
}

void RunOnionSkin(ByteView bytes) {
  static const keys::X25519KeyPair onion_key = keys::X25519KeyPair::Generate(Rng());
  (void)keys::ServerReply({kNetwork.name}, Key().public_key(), {&onion_key, 1}, bytes, Rng());
}
std::vector<Bytes> ValidOnionSkin() { return {Random(keys::kOnionSkinSize)}; }

}  // namespace

const std::vector<Target>& Targets() {
  static const std::vector<Target> targets = {
      {"descriptor", RunDescriptor, ValidDescriptor},
      {"table", RunTable, ValidTable},
      {"contradiction", RunContradiction, ValidContradiction},
      {"peer", RunPeer, ValidPeer},
      {"cell", RunCell, ValidCell},
      {"frame", RunFrame, ValidFrame},
      {"relay_cell", RunRelayCell, ValidRelayCell},
      {"record", RunRecord, ValidRecord},
      {"receipt", RunReceipt, ValidReceipt},
      {"reconcile_request", RunReconcileRequest, ValidReconcileRequest},
      {"reconcile_reply", RunReconcileReply, ValidReconcileReply},
      {"mailbox_request", RunMailboxRequest, ValidMailboxRequest},
      {"mailbox_answer", RunMailboxAnswer, ValidMailboxAnswer},
      {"fragment", RunFragment, ValidFragment},
      {"envelope", RunEnvelope, ValidEnvelope},
      {"box", RunBox, ValidBox},
      {"bundle", RunBundle, ValidBundle},
      {"ratchet_message", RunRatchetMessage, ValidRatchetMessage},
      {"ratchet_state", RunRatchetState, ValidRatchetState},
      {"address", RunAddress, ValidAddress},
      {"certificate", RunCertificate, ValidCertificate},
      {"onion_skin", RunOnionSkin, ValidOnionSkin},
  };
  return targets;
}

}  // namespace fuzz
