// SPDX-License-Identifier: Apache-2.0
#include "chat/file_transfer.h"

#include <algorithm>
#include <bit>

#include "base/byte_reader.h"
#include "base/byte_writer.h"
#include "chat/saved_time.h"

namespace chat {

base::Bytes PieceOf(const std::string& name, base::ByteView bytes, uint16_t index) {
  if (index == 0) return base::ToBytes(base::AsBytes(name));
  const size_t from = std::min(bytes.size(), (index - 1u) * kBoxTextMax);
  return base::ToBytes(bytes.subspan(from, std::min(kBoxTextMax, bytes.size() - from)));
}

bool IncomingFile::Take(const Content& piece, absl::Time wall_now) {
  const size_t size = piece.text.size();
  const bool is_last = piece.index + 1 == pieces_;
  const bool fits = piece.index == 0 ? size >= 1 && size <= kFileNameMax : size >= 1 && (is_last || size == kBoxTextMax);
  if (piece.count != pieces_ || !fits) return false;
  seq_ = std::max(seq_, piece.seq);
  uint8_t& byte = bits_[piece.index / 8];
  const auto bit = static_cast<uint8_t>(1 << piece.index % 8);
  if ((byte & bit) != 0) return false;
  byte |= bit;
  ++have_;
  touched_ = wall_now;
  if (piece.index == 0) {
    name_ = base::ToString(piece.text);
  } else if (is_last) {
    last_size_ = static_cast<uint16_t>(size);
  }
  return true;
}

FileInfo IncomingFile::info() const {
  const size_t full = pieces_ > 1 ? pieces_ - 2u : 0;
  return {name_, static_cast<uint32_t>((full * kBoxTextMax) + last_size_), pieces_};
}

base::Bytes IncomingFile::Serialize() const {
  base::ByteWriter out;
  out.Append(id_).U16(pieces_).U16(last_size_).U8(kept_ ? 1 : 0).U32(seq_);
  out.U64(Seconds(touched_)).Short(base::AsBytes(name_)).Append(bits_);
  return out.Take();
}

absl::StatusOr<IncomingFile> IncomingFile::Parse(base::ByteView bytes) {
  base::ByteReader in(bytes);
  const MessageId id = in.Array<16>();
  IncomingFile file(id, in.U16());
  file.last_size_ = in.U16();
  file.kept_ = in.U8() == 1;
  file.seq_ = in.U32();
  file.touched_ = FromSeconds(in.U64());
  file.name_ = base::ToString(in.Short());
  const base::ByteView bits = in.Rest();
  if (!in.ok() || file.pieces_ == 0 || file.pieces_ > kFilePiecesMax || bits.size() != file.bits_.size()) {
    return absl::DataLossError("damaged file state");
  }
  file.bits_.assign(bits.begin(), bits.end());
  int have = 0;
  for (const uint8_t byte : file.bits_) have += std::popcount(byte);
  file.have_ = static_cast<uint16_t>(have);
  return file;
}

}  // namespace chat
