// SPDX-License-Identifier: Apache-2.0
#include "cli/talk_screens.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "cli/open_book.h"
#include "keys/address.h"
#include "tests/support/seeded_rng.h"

namespace cli {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'795'000'000);  // 2026-11-18 09:06:40 UTC

chat::Message Anonymous(const std::string& text) {
  chat::Message message;
  message.id.fill(0x5b);
  message.text = base::ToBytes(base::AsBytes(text));
  message.sent_hour = static_cast<uint32_t>(absl::ToUnixSeconds(kNow) / 3600);
  message.received = kNow;
  return message;
}

TEST(MessageScreen, ShowsAnAnonymousNote) {
  EXPECT_EQ(MessageText(Anonymous("The train is at nine.\nBring the map.\n"), kNow, absl::UTCTimeZone()),
            "  anonymous   today ~11:00   received 11:06\n"
            "    The train is at nine.\n"
            "    Bring the map.\n"
            "\n");
}

TEST(MessageScreen, NamesDaysAsPeopleDo) {
  chat::Message message = Anonymous("x");
  message.sent_hour -= 12;
  EXPECT_NE(MessageText(message, kNow, absl::UTCTimeZone()).find("yesterday ~23:00"), std::string::npos);
  message.sent_hour -= 48;
  EXPECT_NE(MessageText(message, kNow, absl::UTCTimeZone()).find("2026-11-15 ~23:00"), std::string::npos)
      << MessageText(message, kNow, absl::UTCTimeZone());
}

TEST(MessageScreen, NoEscapeReachesTheTerminal) {
  const chat::Message message = Anonymous(
      "\x1b[31mred\x07 \xc2\x9bq \xe2\x80\xae"
      "evil\r\n    fake\x7f");
  const std::string text = MessageText(message, kNow, absl::UTCTimeZone());
  EXPECT_EQ(text.find_first_of("\x1b\x07\r\x7f"), std::string::npos);
  EXPECT_EQ(text.find("\xe2\x80\xae"), std::string::npos) << "direction override";
  EXPECT_NE(text.find("unsafe characters removed"), std::string::npos);
  const std::string json = MessageJson(message, "me");
  EXPECT_EQ(json.find("\\u001b"), std::string::npos) << "not even escaped: who prints it would be steered";
  EXPECT_EQ(json.find("\xe2\x80\xae"), std::string::npos);
}

TEST(MessageScreen, NoLineOfAMessageLooksLikeOurs) {
  const std::string text = MessageText(Anonymous("a\n  bob ✔ signed   today"), kNow, absl::UTCTimeZone());
  EXPECT_NE(text.find("\n      bob ✔ signed"), std::string::npos) << "every line of a message is indented by four";
}

TEST(MessageScreen, SaysHowToAnswerKeepAndHowLongItStays) {
  support::SeededRng rng(1);
  const chat::Invite invite = chat::MakeReply(keys::SigningKey::Generate(rng).public_key(), "", kNow, rng);
  chat::Message message = Anonymous("Who am I?");
  message.reply = chat::EncodeReply(invite.code);
  message.life = 4;
  const std::string tag = TagOf(invite.code.owner), text = MessageText(message, kNow, absl::UTCTimeZone());
  EXPECT_NE(text.find("reply: bulbil send '" + tag + "'"), std::string::npos) << text;
  EXPECT_NE(text.find("disappears in 1 h"), std::string::npos) << text;
  const std::string json = MessageJson(message, "me");
  EXPECT_NE(json.find("\"reply\":\"" + tag + "\""), std::string::npos) << json;
  EXPECT_NE(json.find("\"disappear_seconds\":3600"), std::string::npos) << json;
  message.reply->fill(0);  // an address of nobody
  EXPECT_EQ(MessageText(message, kNow, absl::UTCTimeZone()).find("reply:"), std::string::npos);
  message.file = chat::FileInfo{"map\x1b.png", 2048, 3};
  EXPECT_NE(MessageText(message, kNow, absl::UTCTimeZone()).find("bulbil files save 5b5b5b5b"), std::string::npos);
  EXPECT_NE(MessageJson(message, "me").find("\"file\":\"map.png\",\"size\":2048"), std::string::npos);
}

TEST(MessageJson, IsOneLineWithTheContractsFields) {
  EXPECT_EQ(MessageJson(Anonymous("a\nb"), "alice"),
            "{\"schema\":1,\"type\":\"message\",\"id\":\"5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b\",\"mailbox\":\"alice\",\"from\":\"\","
            "\"verified\":false,\"contact\":\"\",\"contact_verified\":false,\"kind\":\"note\",\"late\":false,"
            "\"sent_hour\":\"2026-11-18T11:00Z\",\"received\":\"2026-11-18T11:06:40Z\",\"reply\":\"\","
            "\"text\":\"a\\nb\"}\n");
}

TEST(MessageJson, NamesAVerifiedSender) {
  support::SeededRng rng(1);
  chat::Message message = Anonymous("x");
  message.from = keys::SigningKey::Generate(rng).public_key();
  const std::string json = MessageJson(message, "me");
  EXPECT_NE(json.find("\"from\":\"" + keys::FormatAddress(*message.from) + "\",\"verified\":true"), std::string::npos) << json;
  EXPECT_NE(MessageText(message, kNow, absl::UTCTimeZone()).find("✔ signed"), std::string::npos);
}

TEST(MessageJson, SaysOfAConversationWhetherAPersonHasComparedTheSender) {
  support::SeededRng rng(1);
  chat::Message message = Anonymous("x");
  message.from = keys::SigningKey::Generate(rng).public_key();
  message.in_conversation = true;
  const auto verified = [&](const Sender& sender) {
    return MessageJson(message, "me", sender).find("\"verified\":true") != std::string::npos;
  };
  EXPECT_FALSE(verified({.name = "bob", .verified = false}));
  EXPECT_TRUE(verified({.name = "bob", .verified = true}));
  message.group = *message.from;
  EXPECT_FALSE(verified({.name = "~carol", .verified = false, .group = "[friends]"}));
  EXPECT_EQ(MessageText(message, kNow, absl::UTCTimeZone()).find("✔"), std::string::npos) << "no name, and nobody looked";
}

TEST(Summary, SaysWhatDidNotAnswer) {
  chat::PollResult result{.parts_asked = 9, .parts_answered = 9, .new_messages = 2};
  EXPECT_EQ(SummaryText(result, "me"), "2 new in mailbox \"me\"\n");
  EXPECT_EQ(SummaryJson(result, "me"),
            "{\"schema\":1,\"type\":\"summary\",\"mailbox\":\"me\",\"new\":2,\"parts_asked\":9,\"parts_answered\":9,"
            "\"incomplete_expired\":0}\n");
  result.parts_answered = 8;
  EXPECT_NE(SummaryText(result, "me").find("1 of 9 mailbox parts did not answer"), std::string::npos);
  result.new_messages = 0;
  EXPECT_EQ(SummaryText(result, "me").rfind("nothing new in mailbox \"me\"", 0), 0u);
}

chat::SendResult Sent(const std::vector<std::vector<size_t>>& copies_at_places) {
  chat::SendResult result;
  result.note_id.fill(0x5b);
  result.expiry = kNow + absl::Hours(24 * 14 + 3);
  for (const auto& envelope : copies_at_places) {
    auto& outcome = result.envelopes.emplace_back();
    for (const size_t copies : envelope) outcome.places.emplace_back().holders.resize(copies);
  }
  return result;
}

TEST(SentScreen, SaysStoredAndWhere) {
  EXPECT_EQ(SentText(Sent({{3, 3}}), absl::Milliseconds(1430), kNow),
            "✓ stored: 1 envelope at 2 places, 6 copies, in 1.4 s · expires in 14 days · message 5b5b\n");
  const SentTotals totals = TotalsOf(Sent({{3, 3}, {2, 0}, {1, 3}}));
  EXPECT_EQ(totals.envelopes, 3u);
  EXPECT_EQ(totals.places, 5u);
  EXPECT_EQ(totals.copies, 12u);
  EXPECT_EQ(totals.copies_least, 2u) << "an envelope is as safe as its better place";
}

TEST(SentScreen, HasAJsonForm) {
  const std::string json = SentJson(Sent({{3, 2}}), absl::Seconds(1));
  EXPECT_EQ(json.rfind("{\"schema\":1,\"type\":\"sent\",\"id\":\"5b5b", 0), 0u) << json;
  EXPECT_NE(json.find("\"envelopes\":1,\"places\":2,\"copies\":5,\"copies_least\":3"), std::string::npos) << json;
}

}  // namespace
}  // namespace cli
