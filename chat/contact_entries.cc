// SPDX-License-Identifier: Apache-2.0
#include "chat/contact_entries.h"

#include "base/byte_reader.h"

namespace chat {

base::Bytes EncodeContact(const Contact& contact) {
  base::ByteWriter out;
  out.Append(contact.key.view()).U8(contact.verified ? 1 : 0);
  out.U8(static_cast<uint8_t>((contact.acknowledge ? 1 : 0) | contact.life << 1))
      .U8(static_cast<uint8_t>((contact.changed_key ? 1 : 0) | (contact.reply ? 2 : 0) | (contact.doorless ? 4 : 0) |
                               (contact.effort > 0 ? 8 : 0)));
  out.Append(contact.changed_key.value_or(keys::PublicKey{}).view());
  if (contact.reply) out.Append(contact.reply->own_seed.view()).Append(contact.reply->answerer.view());
  if (contact.effort > 0) out.U32(contact.effort);
  out.Append(base::AsBytes(contact.name));
  return out.Take();
}

absl::StatusOr<Contact> DecodeContact(base::ByteView bytes) {
  base::ByteReader in(bytes);
  Contact contact;
  contact.key.bytes = in.Array<32>();
  contact.verified = in.U8() == 1;
  const uint8_t settings = in.U8();
  contact.acknowledge = (settings & 1) != 0;
  contact.life = settings >> 1;
  const uint8_t more = in.U8();
  const keys::PublicKey other{in.Array<32>()};
  if ((more & 1) != 0) contact.changed_key = other;
  contact.doorless = (more & 4) != 0;
  if ((more & 2) != 0) {
    Contact::Reply reply{keys::WipedArray<32>(in.Array<32>()), {}};
    reply.answerer.bytes = in.Array<32>();
    contact.reply = reply;
  }
  if ((more & 8) != 0) contact.effort = in.U32();
  contact.name = base::ToString(in.Rest());
  if (!in.ok() || contact.life >= kMessageLifeCodes) return absl::DataLossError("damaged contact");
  return contact;
}

}  // namespace chat
