// SPDX-License-Identifier: Apache-2.0
#include "chat/poller.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/byte_writer.h"
#include "base/status_macros.h"
#include "chat/contact_entries.h"
#include "chat/door_kinds.h"

namespace chat {

namespace {

constexpr size_t kNoDay = SIZE_MAX;
constexpr int kListingsMax = 2;  // a place that gave incomplete answers is listed once more, at another replica

// Until when something of a door can turn up in a listing.
absl::Time GoneAfter(Day day) { return TombstoneExpiry(day) + absl::Hours(24); }

dht::RecordId IdAt(const Door& door, uint8_t place, uint32_t effort, const std::array<uint8_t, kStampSize>& stamp,
                   const base::Bytes& sealed) {
  return MakeEnvelopeRecord({door, place, effort, stamp, sealed}).name.id;
}

}  // namespace

Poller::Poller(Options options, const keys::SigningKey& identity, base::Rng& rng)
    : options_(std::move(options)),
      identity_(identity),
      rng_(rng),
      lanes_(options_.lanes, *this),
      assembler_(options_.network, identity.public_key()),
      waits_(options_.today_only && options_.waits) {}

absl::StatusOr<PollActions> Poller::Start(PollHistory history, const InboxState& state, absl::Time wall_now, absl::Time now) {
  started_at_ = wall_now;
  deadline_ = now + options_.deadline;
  history.last_complete = state.last_complete_poll;
  const base::Bytes secret = options_.isolation_secret.empty() ? base::ToBytes(rng_.Array<32>()) : options_.isolation_secret;
  const std::vector<Day> days = options_.today_only ? std::vector<Day>{DayOf(wall_now)} : DaysToPoll(history, wall_now);
  for (const Day day : days) RETURN_IF_ERROR(AddDay(day, secret));
  totals_.parts_asked = static_cast<int>(parts_.size());
  Recall(state, wall_now);
  for (size_t part = 0; part < parts_.size(); ++part) SubmitList(part);
  return AfterEvent(lanes_.Advance(now));
}

absl::Status Poller::AddDay(Day day, base::ByteView secret) {
  DayWork work;
  ASSIGN_OR_RETURN(work.door, DoorOf(identity_.public_key(), options_.network, day));
  for (uint8_t place = 0; place < kPlaceCount; ++place) {
    Part part;
    part.day_index = days_.size();
    part.outcome.day = day;
    part.outcome.place = place;
    parts_.push_back(std::move(part));
    lanes_.AddLane(work.door.Point(place), IsolationOf(secret, day, place), circuits::Purpose::kListing);
  }
  days_.push_back(std::move(work));
  return absl::OkStatus();
}

// Takes up where earlier polls stopped: what they finished, what they have in part, what they did not show.
void Poller::Recall(const InboxState& state, absl::Time wall_now) {
  for (const FinishedNote& note : state.finished) assembler_.RememberFinished(note.id, note.expiry);
  for (const HeldFragment& held : state.fragments) assembler_.Add(held.fragment, held.expiry);
  assembler_.Settle();
  totals_.expired = assembler_.Expire(wall_now);
  InboxChange change;
  for (const Assembler::Expired& expired : totals_.expired) change.forgotten.push_back(expired.id);
  if (!change.empty()) Keep(std::move(change), kNoDay);
  if (!state.unshown.empty()) pending_.push_back(ShowMessages{state.unshown});
  totals_.new_messages += static_cast<int>(state.unshown.size());
}

void Poller::SubmitList(size_t part) {
  lanes_.Submit({jobs_.size(), part});
  jobs_.push_back({part, {}});
}

PollActions Poller::OnOpened(uint64_t ticket, absl::StatusOr<circuits::OpenedOperation> opened, absl::Time now) {
  return AfterEvent(lanes_.OnOpened(ticket, std::move(opened), now));
}

PollActions Poller::OnAnswer(uint64_t ticket, const absl::StatusOr<base::Bytes>& answer, absl::Time now) {
  return AfterEvent(lanes_.OnAnswer(ticket, answer, now));
}

PollActions Poller::OnTick(absl::Time now) {
  if (now < deadline_) return AfterEvent(lanes_.Advance(now));
  closing_ = true;
  lanes_.Abort(absl::DeadlineExceededError("time ran out"));
  return AfterEvent({});
}

absl::Time Poller::NextTick() const {
  if (done_ || lanes_.Idle()) return absl::InfiniteFuture();
  return std::min(deadline_, lanes_.NextTick());
}

base::Bytes Poller::MakeRequest(const Operation& operation, const circuits::OpenedOperation& opened) {
  const Job& job = jobs_[operation.id];
  if (!job.deletion.empty()) return job.deletion;
  Part& part = parts_[job.part];
  part.outcome.path = opened.path;
  part.outcome.storage_node = opened.storage_node;
  const ListContext context{options_.network, opened.channel_binding, opened.storage_node};
  const auto list = SignList(identity_, context, days_[part.day_index].door, part.outcome.place, part.cursor, waits_, rng_);
  if (list.ok()) return EncodeMailboxRequest(*list);
  fatal_ = list.status();
  return base::Bytes(kMailboxMessageSize, 0);
}

OperationOwner::Next Poller::TakeAnswer(const Operation& operation, const circuits::OpenedOperation& opened,
                                        base::ByteView bytes) {
  const Job& job = jobs_[operation.id];
  const auto answer = DecodeMailboxAnswer(bytes);
  if (!answer.ok()) return Next::kElsewhere;
  if (!job.deletion.empty()) return TakeDeletion(*answer);
  if (answer->status == MailboxStatus::kRefused) waits_ = false;  // of an earlier version: it knows no listing that waits
  return answer->status == MailboxStatus::kPage ? TakePage(job.part, opened, *answer) : Next::kElsewhere;
}

OperationOwner::Next Poller::TakeDeletion(const MailboxAnswer& answer) {
  if (answer.status == MailboxStatus::kStored) return Next::kDone;
  if (answer.status != MailboxStatus::kFull) return Next::kElsewhere;
  ++totals_.deletions_failed;
  return Next::kDone;
}

OperationOwner::Next Poller::TakePage(size_t index, const circuits::OpenedOperation& opened, const MailboxAnswer& page) {
  Part& part = parts_[index];
  DayWork& day = days_[part.day_index];
  if (page.item) {
    const auto& [effort, stamp, sealed] = *page.item;
    const ListCursor here{effort, IdAt(day.door, part.outcome.place, effort, stamp, sealed)};
    // A page that does not lead on would be read for ever.
    if (part.cursor && !(RankOf(day.door.day, part.cursor->effort, part.cursor->id) < RankOf(day.door.day, effort, here.id))) {
      return Next::kElsewhere;
    }
    day.items.try_emplace(IdAt(day.door, 0, effort, stamp, sealed), Item{part.outcome.place, effort, stamp, sealed});
    part.cursor = here;
    ++part.pages;
    part.outcome.envelopes = std::max(part.outcome.envelopes, part.pages);
    if (waits_) EndWaits(index);
  }
  part.incomplete = part.incomplete || !page.complete;
  if (page.more && part.pages < static_cast<int>(kDoorEnvelopesMax)) {
    SubmitList(index);
  } else {
    EndListing(index, &opened);
  }
  return Next::kDone;
}

// Nothing has come to the others so far: they count as answered, and what is to be deleted is deleted there too.
void Poller::EndWaits(size_t but) {
  waits_ = false;
  for (size_t part = 0; part < parts_.size(); ++part) {
    if (part == but || parts_[part].listed) continue;
    lanes_.Drop(part);
    EndPart(part, /*answered=*/true);
  }
}

void Poller::EndListing(size_t index, const circuits::OpenedOperation* last) {
  Part& part = parts_[index];
  if (!part.incomplete || part.listings == kListingsMax) return EndPart(index, !part.incomplete);
  ++part.listings;
  part.cursor.reset();
  part.pages = 0;
  part.incomplete = false;
  lanes_.Avoid(index, last->storage_node);
  SubmitList(index);
}

void Poller::GiveUp(const Operation& operation, const absl::Status& last) {
  last_error_ = last;
  if (last.code() == absl::StatusCode::kFailedPrecondition) fatal_ = last;
  const Job& job = jobs_[operation.id];
  if (!job.deletion.empty()) {
    ++totals_.deletions_failed;
  } else if (!parts_[job.part].listed) {
    EndPart(job.part, /*answered=*/false);
  }
}

void Poller::EndPart(size_t index, bool answered) {
  Part& part = parts_[index];
  part.listed = true;
  part.outcome.answered = answered;
  totals_.parts_answered += answered ? 1 : 0;
  if (--days_[part.day_index].parts_open == 0 && fatal_.ok()) FinishDay(part.day_index);
}

void Poller::FinishDay(size_t day_index) {
  DayWork& day = days_[day_index];
  InboxChange change;
  std::map<NoteId, std::vector<dht::RecordId>> of_note;
  for (const auto& [name, item] : day.items) Take(day, name, item, change, of_note);
  for (const NoteId& dropped : assembler_.Settle()) {
    std::erase_if(change.fragments, [&](const HeldFragment& held) { return held.fragment.note_id == dropped; });
    of_note.erase(dropped);
  }
  std::erase_if(change.fragments, [&](const HeldFragment& held) { return assembler_.Finished(held.fragment.note_id); });
  for (const auto& [note, names] : of_note) day.done_with.insert(day.done_with.end(), names.begin(), names.end());
  std::sort(change.messages.begin(), change.messages.end(),
            [](const Message& a, const Message& b) { return a.sent_hour < b.sent_hour; });
  day.messages = change.messages;
  if (change.empty()) return Delete(day_index);
  Keep(std::move(change), day_index);
}

// One envelope: opened and added to its note.
void Poller::Take(DayWork& day, const dht::RecordId& name, const Item& item, InboxChange& change,
                  std::map<NoteId, std::vector<dht::RecordId>>& of_note) {
  const auto plain = OpenEnvelope(identity_, options_.network, day.door.blinded, item.sealed);
  const auto fragment = plain.ok() ? DecodeFragment(*plain) : plain.status();
  if (!fragment.ok()) {
    ++totals_.junk;
    day.done_with.push_back(name);
    return;
  }
  const absl::Time expiry = GoneAfter(day.door.day);
  if (fragment->kind == NoteKind::kHandshake) return TakeHandshake(day, name, item, *fragment, expiry, change);
  Assembler::Result result = assembler_.Add(*fragment, expiry);
  of_note[fragment->note_id].push_back(name);
  if (result.verdict == Assembler::Verdict::kKept) change.fragments.push_back({*fragment, expiry});
  if (result.verdict == Assembler::Verdict::kBad) ++totals_.junk;
  if (result.verdict != Assembler::Verdict::kKnown && assembler_.Finished(fragment->note_id)) {
    change.finished.push_back({fragment->note_id, expiry});
  }
  if (result.verdict != Assembler::Verdict::kFinished) return;
  Note& note = result.note;
  std::optional<keys::PublicKey> from;
  if (note.sender) from = note.sender->identity;
  Message message{note.id, std::move(note.text), note.sent_hour, from, started_at_};
  message.reply = note.reply;
  change.messages.push_back(std::move(message));
}

// The contact book opens it later (contact_book.h): here it is only kept before it is deleted. What its work is worth counts
// there; a storing node may have made up what it claims.
void Poller::TakeHandshake(DayWork& day, const dht::RecordId& name, const Item& item, const Fragment& fragment, absl::Time expiry,
                           InboxChange& change) {
  day.done_with.push_back(name);
  base::Bytes note = base::ToBytes(fragment.note_id);
  const auto same = std::find_if(change.book.begin(), change.book.end(), [&](const BookEntry& one) { return one.name == note; });
  if (same == change.book.end() && assembler_.Finished(fragment.note_id)) return;
  const bool worked = HasTrueStamp(options_.network, {day.door, item.place, item.effort, item.stamp, item.sealed});
  base::Bytes value = base::ByteWriter().Append(fragment.text).U32(worked ? item.effort : 0).Take();
  if (same != change.book.end()) {  // its copy at another place: the effort comes last, so the greater one stays
    same->value = std::max(*same->value, value);
    return;
  }
  assembler_.RememberFinished(fragment.note_id, expiry);
  change.finished.push_back({fragment.note_id, expiry});
  change.book.push_back({kHandshakeEntry, std::move(note), std::move(value)});
  ++totals_.handshakes;
}

void Poller::Keep(InboxChange change, size_t day_index) {
  keeping_.push_back(day_index);
  pending_.push_back(KeepMail{std::move(change)});
}

PollActions Poller::OnKept(const absl::Status& status, absl::Time now) {
  const size_t day_index = keeping_.front();
  keeping_.erase(keeping_.begin());
  if (!status.ok() && fatal_.ok()) fatal_ = status;
  if (fatal_.ok() && day_index != kNoDay) {
    DayWork& day = days_[day_index];
    totals_.new_messages += static_cast<int>(day.messages.size());
    if (!day.messages.empty()) pending_.push_back(ShowMessages{std::move(day.messages)});
    Delete(day_index);
  }
  return AfterEvent(lanes_.Advance(now));
}

void Poller::Delete(size_t day_index) {
  if (closing_) return;
  for (uint8_t place = 0; place < kPlaceCount; ++place) SubmitDeletions(day_index, place);
  days_[day_index].items.clear();
}

// At a place that could not be listed now, the next poll lists and deletes again.
void Poller::SubmitDeletions(size_t day_index, uint8_t place) {
  const size_t part = day_index * kPlaceCount + place;
  const DayWork& day = days_[day_index];
  if (!parts_[part].outcome.answered) return;
  for (size_t from = 0; from < day.done_with.size(); from += kTombstoneIdsMax) {
    std::vector<dht::RecordId> ids;
    for (size_t i = from; i < std::min(from + kTombstoneIdsMax, day.done_with.size()); ++i) {
      const Item& item = day.items.at(day.done_with[i]);
      ids.push_back(IdAt(day.door, place, item.effort, item.stamp, item.sealed));
    }
    auto tombstone = SignTombstone(identity_, options_.network, day.door.day, place, std::move(ids), rng_);
    if (!tombstone.ok()) {
      ++totals_.deletions_failed;
      continue;
    }
    lanes_.Submit({jobs_.size(), part});
    jobs_.push_back({part, EncodeMailboxRequest(DeleteRequest{*std::move(tombstone)})});
  }
}

PollActions Poller::AfterEvent(const OperationActions& operations) {
  if (!fatal_.ok()) {
    closing_ = true;
    lanes_.Abort(fatal_);
  }
  const bool complete = fatal_.ok() && !options_.today_only && totals_.parts_answered == totals_.parts_asked;
  if (lanes_.Idle() && keeping_.empty() && complete && !marked_) {
    marked_ = true;
    InboxChange change;
    change.last_complete_poll = started_at_;
    Keep(std::move(change), kNoDay);
  }
  done_ = lanes_.Idle() && keeping_.empty();
  PollActions actions = std::exchange(pending_, {});  // first: a person waits for what is to be shown
  if (!fatal_.ok()) return actions;
  for (const OperationAction& action : operations) {
    std::visit([&](const auto& one) { actions.push_back(one); }, action);
  }
  return actions;
}

absl::StatusOr<PollResult> Poller::result() const {
  if (!fatal_.ok()) return fatal_;
  if (totals_.parts_answered == 0 && totals_.new_messages == 0) {
    return absl::UnavailableError(absl::StrCat("no part of the mailbox answered: ", last_error_.message()));
  }
  PollResult result = totals_;
  for (const Part& part : parts_) result.parts.push_back(part.outcome);
  return result;
}

}  // namespace chat
