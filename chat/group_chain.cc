// SPDX-License-Identifier: Apache-2.0
#include "chat/group_chain.h"

#include <algorithm>

#include "base/byte_reader.h"
#include "base/byte_writer.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "keys/aead.h"
#include "keys/blinded_key.h"
#include "keys/hash.h"

namespace chat {

namespace {

keys::Digest512 BlindingOf(const keys::PublicKey& writer, const keys::WipedArray<32>& seed) {
  return keys::Hasher("group-place", seed.view(), 64).Add(writer.view()).Finish512();
}

keys::WipedArray<32> MessageKey(const keys::PublicKey& writer, const keys::WipedArray<32>& seed) {
  keys::Digest digest = keys::KeyedHash(seed.view(), "group-message", {writer.view()});
  keys::WipedArray<32> key(digest);
  keys::Wipe(digest);
  return key;
}

base::Bytes Associated(const GroupId& group, const keys::PublicKey& member, const keys::PublicKey& writer, uint32_t seq) {
  return base::ByteWriter().Append(group.view()).Append(member.view()).Append(writer.view()).U32(seq).Take();
}

}  // namespace

GroupId GroupIdOf(const keys::PublicKey& creator, const std::array<uint8_t, 16>& random) {
  const keys::Digest digest = keys::Hash("group-id", {creator.view(), random});
  GroupId id;
  std::copy_n(random.begin(), 16, id.bytes.begin());
  std::copy_n(digest.begin(), 16, id.bytes.begin() + 16);
  return id;
}

bool IsGroupOf(const GroupId& id, const keys::PublicKey& creator) {
  std::array<uint8_t, 16> random;
  std::copy_n(id.bytes.begin(), 16, random.begin());
  return id == GroupIdOf(creator, random);
}

keys::PublicKey GroupBoxKey(const keys::PublicKey& writer, const keys::WipedArray<32>& seed) {
  return keys::BlindPublicKeyWith(writer, BlindingOf(writer, seed)).value_or(keys::PublicKey{});
}

GroupWriter::GroupWriter(uint32_t first, uint64_t made, base::Rng& rng)
    : key_(keys::SigningKey::Generate(rng)),
      chain_(keys::WipedArray<32>(rng.Array<32>())),
      first_(first),
      next_(first),
      made_(made) {}

Box GroupWriter::Seal(const GroupId& group, const keys::PublicKey& self, Content content, std::string_view network,
                      absl::Time expiry, base::Rng& rng) {
  content.seq = next_++;
  const keys::WipedArray<32> seed = chain_.Seed();
  chain_.Advance();
  base::Bytes sealed = keys::Seal(MessageKey(writer(), seed).view(), {}, Associated(group, self, writer(), content.seq),
                                  EncodeContent(content, kGroupRoom));
  auto box = MakeBlindedBox(key_, BlindingOf(writer(), seed), network, std::move(sealed), expiry, rng);
  CHECK(box.ok());  // the pair is our own
  return *std::move(box);
}

base::Bytes GroupWriter::Serialize() const {
  return base::ByteWriter().Append(key_.seed().view()).Append(chain_.secret().view()).U32(first_).U32(next_).U64(made_).Take();
}

GroupWriter GroupWriter::Parse(base::ByteView bytes) {
  CHECK(bytes.size() == kSerializedSize);
  base::ByteReader in(bytes);
  keys::SigningKey key(keys::Secret<32>(in.Take(32)));
  GroupWriter writer(std::move(key), PlaceChain(keys::WipedArray<32>(in.Array<32>())));
  writer.first_ = in.U32();
  writer.next_ = in.U32();
  writer.made_ = in.U64();
  return writer;
}

absl::StatusOr<Content> OpenGroupBox(const GroupId& group, const keys::PublicKey& member, const keys::PublicKey& writer,
                                     uint32_t seq, const keys::WipedArray<32>& seed, base::ByteView sealed) {
  ASSIGN_OR_RETURN(const base::Bytes plain,
                   keys::Open(MessageKey(writer, seed).view(), {}, Associated(group, member, writer, seq), sealed));
  ASSIGN_OR_RETURN(Content content, DecodeContent(plain));
  if (content.seq != seq || content.kind != ContentKind::kText) return absl::InvalidArgumentError("no text of a group");
  return content;
}

}  // namespace chat
