// SPDX-License-Identifier: Apache-2.0
#include "chat/mailbox.h"

#include "base/overloaded.h"

namespace chat {

namespace {

MailboxDecision JudgeRecord(dht::Record record, const dht::RecordKinds& kinds, absl::Time wall_now) {
  if (!kinds.Check(record, dht::Source::kClient, wall_now).ok()) return RefuseRequest{};
  return StoreRecord{std::move(record)};
}

MailboxDecision JudgeList(const ListRequest& request, const ListContext& context) {
  if (!VerifyList(request, context)) return RefuseRequest{};
  return ListPlace{request.door.Point(request.place), request.cursor, request.door.day, request.waits};
}

MailboxAnswer::Item ItemOf(const Envelope& envelope) { return {envelope.effort, envelope.stamp, envelope.sealed}; }

}  // namespace

MailboxDecision JudgeRequest(base::ByteView bytes, const ListContext& context, const dht::RecordKinds& kinds,
                             absl::Time wall_now) {
  const auto request = DecodeMailboxRequest(bytes);
  if (!request.ok()) return RefuseRequest{};
  return std::visit(
      base::Overloaded{[&](const PutRequest& put) { return JudgeRecord(MakeEnvelopeRecord(put.envelope), kinds, wall_now); },
                       [&](const ListRequest& list) { return JudgeList(list, context); },
                       [&](const DeleteRequest& del) { return JudgeRecord(MakeTombstoneRecord(del.tombstone), kinds, wall_now); },
                       [&](const ReadRequest& read) {
                         return MailboxDecision(ReadPlace{read.kind, read.point});
                       },
                       [&](const PutBoxRequest& put) { return JudgeRecord(MakeBoxRecord(put.box), kinds, wall_now); },
                       [&](const PutBundleRequest& put) { return JudgeRecord(MakeBundleRecord(put.bundle), kinds, wall_now); }},
      *request);
}

MailboxAnswer MakePage(const ListPlace& list, bool complete, const RecordSource& envelopes) {
  std::optional<Rank> behind;
  if (list.cursor) behind = RankOf(list.day, list.cursor->effort, list.cursor->id);
  std::optional<Rank> first;
  dht::Record first_record;
  size_t left = 0;
  const absl::Status read = envelopes([&](const dht::Record& record) {
    const Rank rank = RankOf(record);
    if (behind && !(*behind < rank)) return;
    ++left;
    if (first && !(rank < *first)) return;
    first = rank;
    first_record = record;
  });
  if (!read.ok()) return MailboxAnswer{MailboxStatus::kUnavailable};
  MailboxAnswer answer;
  answer.status = MailboxStatus::kPage;
  answer.complete = complete;
  if (!first) return answer;
  const auto envelope = DecodeEnvelope(first_record.body);
  if (!envelope.ok()) return MailboxAnswer{MailboxStatus::kUnavailable};  // the own store is damaged: ask another replica
  answer.item = ItemOf(*envelope);
  answer.more = left > 1;
  return answer;
}

MailboxAnswer MakeReading(bool complete, const RecordSource& records) {
  MailboxAnswer answer{MailboxStatus::kRecord};
  answer.complete = complete;
  const absl::Status read = records([&](const dht::Record& record) { answer.record = record.body; });
  return read.ok() ? answer : MailboxAnswer{MailboxStatus::kUnavailable};
}

MailboxAnswer AnswerOfPut(const absl::StatusOr<dht::PutReply>& outcome) {
  if (!outcome.ok()) return MailboxAnswer{MailboxStatus::kUnavailable};
  switch (outcome->result) {
    case dht::PutResult::kStored:
      return MailboxAnswer{MailboxStatus::kStored, 0, outcome->receipts};
    case dht::PutResult::kFull:
      return MailboxAnswer{MailboxStatus::kFull, outcome->detail};
    case dht::PutResult::kRefused:
      return MailboxAnswer{MailboxStatus::kRefused};
    case dht::PutResult::kUnknown:
    case dht::PutResult::kNotResponsible:
    case dht::PutResult::kNoSpace:
      break;
  }
  return MailboxAnswer{MailboxStatus::kUnavailable};
}

}  // namespace chat
