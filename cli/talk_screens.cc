// SPDX-License-Identifier: Apache-2.0
#include "cli/talk_screens.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/bytes.h"
#include "base/terminal_text.h"
#include "cli/json.h"
#include "cli/open_book.h"
#include "cli/received_files.h"
#include "cli/values.h"
#include "keys/address.h"

namespace cli {
namespace {

std::string Plural(size_t count, const char* one, const char* many) {
  return absl::StrCat(ShownCount(count), " ", count == 1 ? one : many);
}

std::string IdOf(const chat::NoteId& id) { return base::ToHex(id); }

std::string UtcText(absl::Time time) { return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone()); }

absl::Time HourTime(uint32_t hour) { return absl::UnixEpoch() + hour * absl::Hours(1); }

// "today", "yesterday", "2026-11-20".
std::string DayText(absl::Time time, absl::Time now, absl::TimeZone zone) {
  const absl::CivilDay day(absl::ToCivilDay(time, zone)), today(absl::ToCivilDay(now, zone));
  if (day == today) return "today";
  return day == today - 1 ? "yesterday" : absl::FormatCivilTime(day);
}

// "bob ✔", "carol ?", "bulb1qpvg…fkpm8j ✔ signed" (the address is what is known of who signed), "anonymous".
std::string WhoText(const chat::Message& message, const Sender& sender) {
  if (!message.from) return "anonymous";
  const std::string signed_note = message.in_conversation ? "" : " signed";
  if (sender.name.empty())
    return absl::StrCat(Cut(keys::FormatAddress(*message.from)), message.in_conversation ? " ?" : " ✔", signed_note);
  const auto safe = [](const std::string& text) { return base::SanitizeForTerminal(base::AsBytes(text)).text; };
  return absl::StrCat(safe(sender.name), sender.verified ? " ✔" : " ?", signed_note,
                      sender.group.empty() ? "" : absl::StrCat(" in ", safe(sender.group)));
}

std::string HeadLine(const chat::Message& message, absl::Time now, absl::TimeZone zone, const Sender& sender) {
  const absl::Time sent = HourTime(message.sent_hour);
  return absl::StrCat("  ", WhoText(message, sender), "   ", DayText(sent, now, zone), " ~",
                      absl::FormatTime("%H:%M", sent, zone), "   received ", absl::FormatTime("%H:%M", message.received, zone),
                      message.late ? "   late: sent before what you have read" : "",
                      message.life > 0 ? absl::StrCat("   disappears in ", ShownDuration(chat::LifeOf(message.life))) : "", "\n");
}

std::string MissingText(const chat::PollResult& result) {
  const int missing = result.parts_asked - result.parts_answered;
  if (missing == 0) return "";
  return absl::StrCat(" — ", missing, " of ", result.parts_asked,
                      " mailbox parts did not answer, some messages may be missing (the next poll asks again)");
}

}  // namespace

SentTotals TotalsOf(const chat::SendResult& result) {
  SentTotals totals{.envelopes = result.envelopes.size()};
  for (const chat::EnvelopeOutcome& envelope : result.envelopes) {
    size_t best = 0;
    for (const chat::PlaceOutcome& place : envelope.places) {
      totals.places += place.holders.empty() ? 0 : 1;
      totals.copies += place.holders.size();
      best = std::max(best, place.holders.size());
    }
    totals.copies_least = &envelope == &result.envelopes.front() ? best : std::min(totals.copies_least, best);
  }
  return totals;
}

std::string SentText(const chat::SendResult& result, absl::Duration took, absl::Time now) {
  const SentTotals totals = TotalsOf(result);
  const auto days = static_cast<int64_t>(std::floor(absl::FDivDuration(result.expiry - now, absl::Hours(24))));
  return absl::StrCat("✓ stored: ", Plural(totals.envelopes, "envelope", "envelopes"), " at ",
                      Plural(totals.places, "place", "places"), ", ", Plural(totals.copies, "copy", "copies"), ", in ",
                      ShownDuration(took), " · expires in ", days, " days · message ", IdOf(result.note_id).substr(0, 4), "\n");
}

std::string SentJson(const chat::SendResult& result, absl::Duration took) {
  const SentTotals totals = TotalsOf(result);
  return JsonObject()
      .Add("schema", 1)
      .Add("type", "sent")
      .Add("id", IdOf(result.note_id))
      .Add("envelopes", totals.envelopes)
      .Add("places", totals.places)
      .Add("copies", totals.copies)
      .Add("copies_least", totals.copies_least)
      .Add("expires", UtcText(result.expiry))
      .Add("seconds", absl::ToDoubleSeconds(took))
      .Line();
}

std::string MessageText(const chat::Message& message, absl::Time now, absl::TimeZone zone, const Sender& sender) {
  const base::TerminalText safe = base::SanitizeForTerminal(message.text);
  std::string text = HeadLine(message, now, zone, sender);
  if (safe.removed > 0) {
    absl::StrAppend(&text, "    ⚠ ", Plural(safe.removed, "unsafe character", "unsafe characters"), " removed\n");
  }
  std::string body = message.file ? FileMessageText(message) : safe.text;
  while (!body.empty() && body.back() == '\n') body.pop_back();
  const std::string tag = ReplyTagOf(message);
  const std::string answer =
      tag.empty() ? "" : absl::StrCat("    reply: bulbil send '", tag, "'     keep: bulbil accept '", tag, "' --name NAME\n");
  return absl::StrCat(text, "    ", absl::StrReplaceAll(body, {{"\n", "\n    "}}), "\n", answer, "\n");
}

std::string MessageJson(const chat::Message& message, const std::string& mailbox, const Sender& sender) {
  JsonObject json;
  json.Add("schema", 1)
      .Add("type", "message")
      .Add("id", IdOf(message.id))
      .Add("mailbox", mailbox)
      .Add("from", message.from ? keys::FormatAddress(sender.address.value_or(*message.from)) : "")
      .Add("verified", message.in_conversation ? sender.verified : message.from.has_value())
      .Add("contact", sender.name)
      .Add("contact_verified", sender.verified)
      .Add("kind", message.group             ? "group"
                   : message.in_conversation ? "conversation"
                                             : "note")
      .Add("late", message.late)
      .Add("sent_hour", absl::FormatTime("%Y-%m-%dT%H:%MZ", HourTime(message.sent_hour), absl::UTCTimeZone()))
      .Add("received", UtcText(message.received))
      .Add("reply", ReplyTagOf(message))
      .Add("text", base::SanitizeForTerminal(message.text).text);
  if (message.file) {
    json.Add("file", base::SanitizeForTerminal(base::AsBytes(message.file->name)).text).Add("size", message.file->size);
  }
  if (message.group) json.Add("group", sender.group);
  if (message.life > 0) json.Add("disappear_seconds", absl::ToInt64Seconds(chat::LifeOf(message.life)));
  return json.Line();
}

std::string SummaryText(const chat::PollResult& result, const std::string& mailbox) {
  const std::string count = result.new_messages == 0 ? "nothing new" : absl::StrCat(result.new_messages, " new");
  std::string text = absl::StrCat(count, " in mailbox \"", mailbox, "\"", MissingText(result), "\n");
  if (!result.expired.empty()) {
    absl::StrAppend(&text, Plural(result.expired.size(), "message", "messages"),
                    " came in parts of which some never arrived in time, and cannot be read\n");
  }
  return text;
}

std::string SummaryJson(const chat::PollResult& result, const std::string& mailbox) {
  return JsonObject()
      .Add("schema", 1)
      .Add("type", "summary")
      .Add("mailbox", mailbox)
      .Add("new", result.new_messages)
      .Add("parts_asked", result.parts_asked)
      .Add("parts_answered", result.parts_answered)
      .Add("incomplete_expired", result.expired.size())
      .Line();
}

}  // namespace cli
