// SPDX-License-Identifier: Apache-2.0
#include "chat/ratchet.h"

#include "base/byte_reader.h"
#include "base/byte_writer.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "keys/aead.h"
#include "keys/hash.h"

namespace chat {

namespace {

constexpr keys::SealNonce kZeroNonce{};  // every message key is used once
constexpr uint8_t kFormat = 1;

absl::Status NotOurs() { return absl::UnauthenticatedError("message does not open"); }

keys::WipedArray<32> Derive(base::ByteView key, std::string_view label) {
  keys::Digest digest = keys::KeyedHash(key, label, {});
  keys::WipedArray<32> derived(digest);
  keys::Wipe(digest);
  return derived;
}

struct RootStep {
  keys::WipedArray<32> root, chain, next_header, places;
};

RootStep StepRoot(const keys::WipedArray<32>& root, const keys::WipedArray<32>& shared) {
  keys::Digest512 seed = keys::Hasher("ratchet root step", root.view(), 64).Add(shared.view()).Finish512();
  RootStep step{Derive(seed, "ratchet root"), Derive(seed, "ratchet chain"), Derive(seed, "ratchet next header"),
                Derive(seed, "boxchain")};
  keys::Wipe(seed);
  return step;
}

// The key of the chain's next message; the chain moves on.
keys::WipedArray<32> NextMessageKey(keys::WipedArray<32>& chain) {
  keys::WipedArray<32> message = Derive(chain.view(), "ratchet message");
  chain = Derive(chain.view(), "ratchet chain step");
  return message;
}

base::Bytes WithHeader(base::ByteView associated, base::ByteView sealed_header) {
  return base::ByteWriter().Append(associated).Append(sealed_header).Take();
}

absl::StatusOr<base::Bytes> OpenText(const keys::WipedArray<32>& message_key, base::ByteView associated, base::ByteView sealed) {
  return keys::Open(message_key.view(), kZeroNonce, WithHeader(associated, sealed.first(kSealedHeaderSize)),
                    sealed.subspan(kSealedHeaderSize));
}

keys::WipedArray<32> TakeKey(base::ByteReader& in) {
  std::array<uint8_t, 32> bytes = in.Array<32>();
  keys::WipedArray<32> key(bytes);
  keys::Wipe(bytes);
  return key;
}

}  // namespace

struct Ratchet::Header {
  keys::X25519Public key{};
  uint32_t previous = 0;
  uint32_t number = 0;
};

absl::StatusOr<Ratchet> Ratchet::Initiator(const SessionSecrets& secrets, const keys::X25519Public& responder_prekey,
                                           base::Rng& rng) {
  Ratchet ratchet;
  ratchet.own_ = keys::X25519KeyPair::Generate(rng);
  ratchet.theirs_ = responder_prekey;
  ASSIGN_OR_RETURN(const keys::WipedArray<32> shared, keys::X25519(ratchet.own_.secret_key.view(), responder_prekey));
  const RootStep step = StepRoot(secrets.root, shared);
  ratchet.root_ = step.root;
  ratchet.sending_ = Chain{step.chain, secrets.header_key};
  ratchet.next_send_header_key_ = step.next_header;
  ratchet.next_receive_header_key_ = secrets.next_header_key;
  ratchet.send_places_ = step.places;
  return ratchet;
}

Ratchet Ratchet::Responder(const SessionSecrets& secrets, const keys::X25519KeyPair& prekey) {
  Ratchet ratchet;
  ratchet.own_ = prekey;
  ratchet.root_ = secrets.root;
  ratchet.next_send_header_key_ = secrets.next_header_key;
  ratchet.next_receive_header_key_ = secrets.header_key;
  return ratchet;
}

base::Bytes Ratchet::Seal(base::ByteView associated, base::ByteView text, base::Rng& rng) {
  CHECK(sending_.has_value());
  const keys::WipedArray<32> message_key = NextMessageKey(sending_->key);
  const base::Bytes header = base::ByteWriter().Append(own_.public_key).U32(previous_sent_).U32(sent_).Take();
  const keys::SealNonce nonce = rng.Array<24>();
  base::ByteWriter out;
  out.Append(nonce).Append(keys::Seal(sending_->header_key.view(), nonce, associated, header));
  const base::Bytes bound = WithHeader(associated, out.bytes());
  out.Append(keys::Seal(message_key.view(), kZeroNonce, bound, text));
  ++sent_;
  return out.Take();
}

std::optional<Ratchet::Header> Ratchet::OpenHeader(const keys::WipedArray<32>& header_key, base::ByteView associated,
                                                   base::ByteView sealed) {
  base::ByteReader in(sealed.first(kSealedHeaderSize));
  const keys::SealNonce nonce = in.Array<24>();
  const auto plain = keys::Open(header_key.view(), nonce, associated, in.Rest());
  if (!plain.ok()) return std::nullopt;
  base::ByteReader fields(*plain);
  return Header{fields.Array<32>(), fields.U32(), fields.U32()};
}

absl::StatusOr<Ratchet::Opened> Ratchet::Open(base::ByteView associated, base::ByteView sealed, base::Rng& rng) {
  if (sealed.size() < kRatchetOverhead) return NotOurs();
  if (auto text = OpenSkipped(associated, sealed)) return Opened{*std::move(text), false};
  Ratchet trial(*this);
  auto opened = trial.OpenNext(associated, sealed, rng);
  if (opened.ok()) *this = std::move(trial);
  return opened;
}

std::optional<base::Bytes> Ratchet::OpenSkipped(base::ByteView associated, base::ByteView sealed) {
  for (size_t i = 0; i < skipped_.size(); ++i) {
    const auto header = OpenHeader(skipped_[i].header_key, associated, sealed);
    if (!header || header->number != skipped_[i].number) continue;
    auto text = OpenText(skipped_[i].message_key, associated, sealed);
    if (!text.ok()) return std::nullopt;
    skipped_.erase(skipped_.begin() + static_cast<ptrdiff_t>(i));
    return *std::move(text);
  }
  return std::nullopt;
}

absl::StatusOr<Ratchet::Opened> Ratchet::OpenNext(base::ByteView associated, base::ByteView sealed, base::Rng& rng) {
  std::optional<Header> header;
  if (receiving_) header = OpenHeader(receiving_->header_key, associated, sealed);
  const bool stepped = !header;
  if (stepped) {
    header = OpenHeader(next_receive_header_key_, associated, sealed);
    if (!header) return NotOurs();
    RETURN_IF_ERROR(Skip(header->previous));
    RETURN_IF_ERROR(Step(header->key, rng));
  }
  if (header->number < received_) return NotOurs();  // opened before, or its key was dropped
  RETURN_IF_ERROR(Skip(header->number));
  const keys::WipedArray<32> message_key = NextMessageKey(receiving_->key);
  ++received_;
  auto text = OpenText(message_key, associated, sealed);
  if (!text.ok()) return NotOurs();
  return Opened{*std::move(text), stepped};
}

// Keeps the keys of the messages before `until` of the current receiving chain.
absl::Status Ratchet::Skip(uint32_t until) {
  if (until > received_ && until - received_ > kSkipPerMessageMax) return NotOurs();
  for (; receiving_ && received_ < until; ++received_) {
    if (skipped_.size() == kSkippedKeysMax) skipped_.erase(skipped_.begin());
    skipped_.push_back({receiving_->header_key, NextMessageKey(receiving_->key), received_});
  }
  return absl::OkStatus();
}

absl::Status Ratchet::Step(const keys::X25519Public& theirs, base::Rng& rng) {
  previous_sent_ = sent_;
  sent_ = received_ = 0;
  theirs_ = theirs;
  const auto arriving = keys::X25519(own_.secret_key.view(), theirs);
  if (!arriving.ok()) return NotOurs();
  const RootStep in = StepRoot(root_, *arriving);
  receiving_ = Chain{in.chain, next_receive_header_key_};
  next_receive_header_key_ = in.next_header;
  receive_places_ = in.places;
  own_ = keys::X25519KeyPair::Generate(rng);
  const auto leaving = keys::X25519(own_.secret_key.view(), theirs);
  if (!leaving.ok()) return NotOurs();
  const RootStep out = StepRoot(in.root, *leaving);
  root_ = out.root;
  sending_ = Chain{out.chain, next_send_header_key_};
  next_send_header_key_ = out.next_header;
  send_places_ = out.places;
  return absl::OkStatus();
}

base::Bytes Ratchet::Serialize() const {
  base::ByteWriter out;
  const auto chain = [&](const std::optional<Chain>& one) {
    out.U8(one ? 1 : 0);
    if (one) out.Append(one->key.view()).Append(one->header_key.view());
  };
  out.U8(kFormat).Append(root_.view()).Append(own_.secret_key.view()).Append(own_.public_key);
  out.U8(theirs_ ? 1 : 0).Append(theirs_.value_or(keys::X25519Public{}));
  chain(sending_);
  chain(receiving_);
  out.Append(next_send_header_key_.view()).Append(next_receive_header_key_.view());
  out.Append(send_places_.view()).Append(receive_places_.view());
  out.U32(sent_).U32(received_).U32(previous_sent_).U16(static_cast<uint16_t>(skipped_.size()));
  for (const Skipped& one : skipped_) out.Append(one.header_key.view()).Append(one.message_key.view()).U32(one.number);
  return out.Take();
}

absl::StatusOr<Ratchet> Ratchet::Parse(base::ByteView bytes) {
  base::ByteReader in(bytes);
  Ratchet ratchet;
  const bool known = in.U8() == kFormat;
  const auto chain = [&]() -> std::optional<Chain> {
    if (in.U8() != 1) return std::nullopt;
    Chain one;
    one.key = TakeKey(in);
    one.header_key = TakeKey(in);
    return one;
  };
  ratchet.root_ = TakeKey(in);
  ratchet.own_.secret_key = TakeKey(in);
  ratchet.own_.public_key = in.Array<32>();
  const bool met = in.U8() == 1;
  const keys::X25519Public theirs = in.Array<32>();
  if (met) ratchet.theirs_ = theirs;
  ratchet.sending_ = chain();
  ratchet.receiving_ = chain();
  ratchet.next_send_header_key_ = TakeKey(in);
  ratchet.next_receive_header_key_ = TakeKey(in);
  ratchet.send_places_ = TakeKey(in);
  ratchet.receive_places_ = TakeKey(in);
  ratchet.sent_ = in.U32();
  ratchet.received_ = in.U32();
  ratchet.previous_sent_ = in.U32();
  const size_t skipped = in.U16();
  for (size_t i = 0; i < skipped && in.ok(); ++i) {
    Skipped one;
    one.header_key = TakeKey(in);
    one.message_key = TakeKey(in);
    one.number = in.U32();
    ratchet.skipped_.push_back(one);
  }
  if (!known || !in.Done() || skipped > kSkippedKeysMax) return absl::DataLossError("damaged ratchet state");
  return ratchet;
}

}  // namespace chat
