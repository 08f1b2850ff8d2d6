// SPDX-License-Identifier: Apache-2.0
// What a conversation does with files of the other side.
#include <algorithm>

#include "chat/conversation.h"

namespace chat {

uint64_t Conversation::FileBytes() const {
  uint64_t bytes = 0;
  for (const auto& [id, file] : files_) bytes += file.reserved();
  return bytes;
}

// Null if it is not taken.
IncomingFile* Conversation::FileFor(const Content& piece) {
  const MessageId& id = piece.message_id;
  const auto held = files_.find(id);
  if (held != files_.end()) return &held->second;
  if (seen_.contains(id)) {  // shown, and removed since; or refused, and told in a session that is gone
    const auto refused = refusals_.find(id);
    if (refused != refusals_.end() && piece.index + 1 == piece.count) refused->second = true;
    return nullptr;
  }
  GiveUpStalest();
  IncomingFile file(id, piece.count);
  const bool fits =
      files_.size() < kFilesKeptMax && FileBytes() + file.reserved() <= kFileRoomOfContact && file.reserved() <= file_room_;
  if (fits) return &files_.emplace(id, std::move(file)).first->second;
  Remember(id);
  Refuse(id);
  Note(ConversationNotice::Kind::kNoRoom);
  return nullptr;
}

// Before one more begins: its sender has no more than kIncomingFilesMax under way, so one of these it has given up.
void Conversation::GiveUpStalest() {
  auto stalest = files_.end();
  size_t incomplete = 0;
  for (auto it = files_.begin(); it != files_.end(); ++it) {
    if (it->second.whole()) continue;
    ++incomplete;
    if (stalest == files_.end() || it->second.touched() < stalest->second.touched()) stalest = it;
  }
  if (incomplete >= kIncomingFilesMax) GiveUpFile(stalest);
}

// Its sender is told: what it still sends of it would be acknowledged, and look delivered.
void Conversation::GiveUpFile(std::map<MessageId, IncomingFile>::iterator it) {
  const MessageId id = it->first;
  Note(ConversationNotice::Kind::kLost);
  Remember(id);
  Refuse(id);
  changes_.head = true;
  EraseFile(it);
}

void Conversation::Refuse(const MessageId& id) {
  if (refusals_.size() == kRefusalsMax) {
    const auto told = std::find_if(refusals_.begin(), refusals_.end(), [](const auto& one) { return !one.second; });
    refusals_.erase(told == refusals_.end() ? refusals_.begin() : told);
  }
  refusals_[id] = true;
}

// Once the file is whole: what stands for it in the order of messages.
std::optional<Content> Conversation::TakePiece(Content piece, absl::Time wall_now) {
  if (++pieces_taken_ % kPiecesPerAcknowledgement == 0) owes_acknowledgement_ = true;
  IncomingFile* file = FileFor(piece);
  if (file == nullptr || file->kept()) {
    // The end of a file that is known, sent anew: its sender does not know that it was read.
    owes_acknowledgement_ = owes_acknowledgement_ || piece.index + 1 == piece.count;
    return std::nullopt;
  }
  if (file->Take(piece, wall_now)) {
    changes_.files.insert(piece.message_id);
    changes_.pieces.push_back({piece.message_id, piece.index, std::move(piece.text)});
  }
  if (!file->whole()) return std::nullopt;
  owes_acknowledgement_ = true;
  piece.text.clear();
  piece.seq = file->seq();
  return piece;
}

void Conversation::DeliverFile(const Content& last, bool late) {
  const auto it = files_.find(last.message_id);
  if (it == files_.end() || it->second.kept() || !it->second.whole()) return;
  it->second.Keep();
  changes_.files.insert(last.message_id);
  Remember(last.message_id);
  changes_.arrived.push_back({last.message_id, {}, last.sent_hour, late, it->second.info(), last.life});
}

// `all`: the other side has nothing left of what it was sending.
void Conversation::GiveUpFiles(absl::Time wall_now, bool all) {
  for (auto it = files_.begin(); it != files_.end();) {
    const auto file = it++;
    if (all && !file->second.whole()) {
      Note(ConversationNotice::Kind::kLost);
      EraseFile(file);
    } else if (file->second.Stalled(wall_now)) {
      GiveUpFile(file);
    }
  }
}

void Conversation::EraseFile(std::map<MessageId, IncomingFile>::iterator it) {
  changes_.files.insert(it->first);
  changes_.file_erased.emplace_back(it->first, it->second.info().pieces);
  std::erase_if(changes_.pieces, [&](const auto& piece) { return piece.id == it->first; });
  files_.erase(it);
}

void Conversation::RemoveFile(const MessageId& id) {
  const auto it = files_.find(id);
  if (it == files_.end()) return;
  Remember(id);
  EraseFile(it);
}

void Conversation::RestoreFile(IncomingFile file) {
  const MessageId id = file.id();
  files_.insert_or_assign(id, std::move(file));
}

}  // namespace chat
