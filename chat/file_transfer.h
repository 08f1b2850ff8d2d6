// SPDX-License-Identifier: Apache-2.0
// chat/file_transfer.h — a file of up to 8 MiB as pieces that each fill one box, and what is known of one that arrives.
//
//   piece 0        its name as the sender calls it, 1 to 255 bytes: never used as a path (cli/received_files.h)
//   piece 1..n-1   kBoxTextMax bytes each, the last one 1 to kBoxTextMax; an empty file has none of these
// Every piece says its index and n (session.h), so pieces may come in any order, again, and through another session: what the
// reader holds it need not be sent again. Pieces lie sealed in the inbox, one entry each; in memory there is a bit for each.
// Pure.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "chat/session.h"

namespace chat {

inline constexpr size_t kFileNameMax = 255;               // bytes
inline constexpr size_t kIncomingFilesMax = 4;            // incomplete ones of one contact; a sender has as many under way
inline constexpr size_t kFilesKeptMax = 256;              // of one contact, whole ones too
inline constexpr uint64_t kFileRoomOfContact = 64 << 20;  // bytes of all files of one contact
inline constexpr uint64_t kFileRoom = 256 << 20;          // of all contacts together; beyond it files are refused
inline constexpr absl::Duration kFileGiveUp = absl::Hours(15 * 24);  // without a new piece: boxes live 14 days

// What a person is told of a file.
struct FileInfo {
  std::string name;  // as its sender calls it
  uint32_t size = 0;
  uint16_t pieces = 0;

  bool operator==(const FileInfo&) const = default;
};

// Pieces of a file of so many bytes.
constexpr uint16_t PiecesOf(size_t size) { return static_cast<uint16_t>(1 + ((size + kBoxTextMax - 1) / kBoxTextMax)); }
static_assert(PiecesOf(kFileBytesMax) == kFilePiecesMax);
// Piece `index`: of the bytes, or the name.
base::Bytes PieceOf(const std::string& name, base::ByteView bytes, uint16_t index);

class IncomingFile {
 public:
  IncomingFile(const MessageId& id, uint16_t pieces) : id_(id), pieces_(pieces), bits_((pieces + 7u) / 8u) {}

  // True if the piece is new; false for one that is held, and for one that contradicts what is held.
  bool Take(const Content& piece, absl::Time wall_now);
  bool whole() const { return have_ == pieces_; }
  // Its place in the order of messages: its last piece of this session.
  uint32_t seq() const { return seq_; }
  void OnNewSession() { seq_ = 0; }

  // Whole and shown: only its size and name matter from now on.
  void Keep() { kept_ = true; }
  bool kept() const { return kept_; }
  absl::Time touched() const { return touched_; }  // by its last new piece
  bool Stalled(absl::Time wall_now) const { return !whole() && touched_ + kFileGiveUp <= wall_now; }

  const MessageId& id() const { return id_; }
  FileInfo info() const;
  uint16_t have() const { return have_; }
  // What the quotas count, from the first piece on.
  uint64_t reserved() const { return uint64_t{pieces_} * kBoxTextMax; }

  base::Bytes Serialize() const;
  static absl::StatusOr<IncomingFile> Parse(base::ByteView bytes);  // DataLoss

 private:
  MessageId id_;
  uint16_t pieces_;
  uint16_t have_ = 0;
  uint16_t last_size_ = 0;  // bytes of the last piece
  bool kept_ = false;
  uint32_t seq_ = 0;
  absl::Time touched_;
  std::string name_;
  std::vector<uint8_t> bits_;
};

}  // namespace chat
