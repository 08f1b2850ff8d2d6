// SPDX-License-Identifier: Apache-2.0
#include "chat/session.h"

#include <algorithm>

#include "base/byte_reader.h"
#include "base/byte_writer.h"
#include "base/check.h"
#include "base/status_macros.h"

namespace chat {

namespace {

constexpr uint8_t kFlagSwitches = 1, kFlagReplacesLost = 2, kLifeUnit = 4;

absl::Status Malformed() { return absl::InvalidArgumentError("malformed content"); }

}  // namespace

base::Bytes EncodeContent(const Content& content, size_t room) {
  CHECK(content.text.size() + kContentHeaderSize <= room);
  base::ByteWriter out;
  out.U32(content.seq).U32(content.ack).U8(static_cast<uint8_t>(content.kind));
  out.U8(static_cast<uint8_t>((content.switches ? kFlagSwitches : 0) | (content.replaces_lost ? kFlagReplacesLost : 0) |
                              (content.life * kLifeUnit)));
  out.Append(content.message_id).U16(content.index).U16(content.count).U32(content.sent_hour);
  out.U16(static_cast<uint16_t>(content.text.size())).Append(content.text);
  base::Bytes bytes = out.Take();
  bytes.resize(room, 0);
  return bytes;
}

absl::StatusOr<Content> DecodeContent(base::ByteView bytes) {
  base::ByteReader in(bytes);
  Content content;
  content.seq = in.U32();
  content.ack = in.U32();
  content.kind = static_cast<ContentKind>(in.U8());
  const uint8_t flags = in.U8();
  content.switches = (flags & kFlagSwitches) != 0;
  content.replaces_lost = (flags & kFlagReplacesLost) != 0;
  content.life = flags / kLifeUnit;
  content.message_id = in.Array<16>();
  content.index = in.U16();
  content.count = in.U16();
  content.sent_hour = in.U32();
  content.text = base::ToBytes(in.Long());
  const base::ByteView padding = in.Rest();
  const bool zeros = std::all_of(padding.begin(), padding.end(), [](uint8_t byte) { return byte == 0; });
  const bool kind_known = content.kind >= ContentKind::kText && content.kind <= ContentKind::kGroup;
  if (!in.ok() || !zeros || !kind_known || content.life >= kMessageLifeCodes) return Malformed();
  const uint16_t most = content.kind == ContentKind::kPiece ? kFilePiecesMax : kPartsMax;
  if (content.count == 0 || content.count > most || content.index >= content.count) return Malformed();
  return content;
}

absl::StatusOr<Session> Session::Initiate(const X3dhStart& start, const keys::X25519Public& signed_prekey, base::Rng& rng) {
  ASSIGN_OR_RETURN(Ratchet ratchet, Ratchet::Initiator(start.secrets, signed_prekey, rng));
  Session session(std::move(ratchet));
  session.associated_ = start.secrets.associated;
  session.initiated_ = true;
  session.send_chain_ = PlaceChain(start.secrets.forward_places);
  session.reader_ = BoxReader(PlaceChain(start.secrets.backward_places), 0);
  return session;
}

absl::StatusOr<Session> Session::Answer(const X3dhAnswer& answer, const keys::X25519KeyPair& prekey, base::ByteView sealed,
                                        base::Rng& rng, Content& first) {
  Session session(Ratchet::Responder(answer.secrets, prekey));
  session.associated_ = answer.secrets.associated;
  ASSIGN_OR_RETURN(const Ratchet::Opened opened, session.ratchet_.Open(session.associated_, sealed, rng));
  ASSIGN_OR_RETURN(first, DecodeContent(opened.text));
  if (first.seq != 0 || first.switches || first.kind == ContentKind::kPiece) return Malformed();
  session.confirmed_ = true;
  session.send_chain_ = PlaceChain(answer.secrets.backward_places);
  session.reader_ = BoxReader(PlaceChain(answer.secrets.forward_places), 1);
  return session;
}

base::Bytes Session::SealFirst(Content content, base::Rng& rng) {
  CHECK(initiated_ && next_seq_ == 0);
  content.seq = next_seq_++;
  return ratchet_.Seal(associated_, EncodeContent(content, kHandshakeRoom), rng);
}

Box Session::SealNext(Content content, std::string_view network, absl::Time expiry, base::Rng& rng) {
  content.seq = next_seq_++;
  content.ack = reader_.contiguous();
  content.switches = ratchet_.AtStart();
  Box box = MakeBox(send_chain_.Seed(), network, ratchet_.Seal(associated_, EncodeContent(content, kBoxRoom), rng), expiry);
  if (content.switches) {
    send_chain_ = PlaceChain(ratchet_.send_places());
  } else {
    send_chain_.Advance();
  }
  return box;
}

absl::StatusOr<Content> Session::Open(uint32_t seq, const Box& box, base::Rng& rng) {
  if (!reader_.OnFound(seq, box.expiry)) return absl::NotFoundError("not awaited");
  ASSIGN_OR_RETURN(const Ratchet::Opened opened, ratchet_.Open(associated_, box.sealed, rng));
  confirmed_ = true;
  ASSIGN_OR_RETURN(Content content, DecodeContent(opened.text));
  if (content.seq != seq) return Malformed();
  if (content.switches && opened.stepped && seq + 1 == reader_.head()) reader_.SwitchTo(PlaceChain(ratchet_.receive_places()));
  if (reader_.missing_count() == 0) ratchet_.ForgetSkipped();
  return content;
}

base::Bytes Session::Serialize() const {
  base::ByteWriter out;
  out.Append(associated_).U8(initiated_ ? 1 : 0).U8(confirmed_ ? 1 : 0).U32(next_seq_).Append(send_chain_.secret().view());
  out.Long(reader_.Serialize()).Long(ratchet_.Serialize());
  return out.Take();
}

absl::StatusOr<Session> Session::Parse(base::ByteView bytes) {
  base::ByteReader in(bytes);
  const keys::Digest associated = in.Array<32>();
  const bool initiated = in.U8() == 1, confirmed = in.U8() == 1;
  const uint32_t next_seq = in.U32();
  const PlaceChain send_chain(keys::WipedArray<32>(in.Array<32>()));
  const base::ByteView reader = in.Long(), ratchet = in.Long();
  if (!in.Done()) return absl::DataLossError("damaged session state");
  ASSIGN_OR_RETURN(Ratchet parsed, Ratchet::Parse(ratchet));
  Session session(std::move(parsed));
  ASSIGN_OR_RETURN(session.reader_, BoxReader::Parse(reader));
  session.associated_ = associated;
  session.initiated_ = initiated;
  session.confirmed_ = confirmed;
  session.next_seq_ = next_seq;
  session.send_chain_ = send_chain;
  return session;
}

}  // namespace chat
