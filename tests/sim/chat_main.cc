// SPDX-License-Identifier: Apache-2.0
// Two users over a store that loses things, for a given number of messages, and then five with a group, who write a fiftieth as
// many, and twice again a hundredth, in a group that changes all the time: run by chat.py, which reads the last line.
//
// usage: chat_conversation MESSAGES SEED
// Nodes are replaced by empty ones with a half-life of one hour, a fifth of them forget at once what they acknowledged, one
// operation in ten fails and one answer in twenty is lost; users die at random writes and start again from what is on disk; now
// and then one loses the machine and goes on from a backup. Counted against what was really sent and shown.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "keys/system_rng.h"
#include "tests/chat/book_world.h"
#include "tests/sim/chat_groups.h"

namespace {

using chat::DeliveryState;
using sim::Counts;

struct Sent {
  chat::MessageId id{};
  absl::Time when;
  bool shown = false;
  DeliveryState state = DeliveryState::kQueued;
};

class Talk {
 public:
  Talk(size_t messages, uint64_t seed)
      : messages_(messages),
        rng_(seed),
        store_({.nodes = 40, .droppers = 8, .failure = 0.1, .lost_answer = 0.05, .half_life = absl::Hours(1)}, seed + 1),
        people_{std::make_unique<support::Person>(store_, seed + 2), std::make_unique<support::Person>(store_, seed + 3)} {
    for (size_t who = 0; who < 2; ++who) {
      people_[who]->on_state = [this, who](const chat::StateChange& change) { CheckState(who, change); };
    }
  }

  Counts Run() {
    Meet();
    const size_t restore_every = std::max<size_t>(1, messages_ / 8);
    for (size_t step = 0; counts_.sent < messages_; ++step) {
      const size_t who = rng_.Below(2);
      for (size_t burst = rng_.Below(5); burst > 0 && counts_.sent < messages_; --burst) Send(who);
      Live(who, /*may_die=*/rng_.Below(16) == 0, /*door=*/step % 16 == 0);
      Pass(absl::Seconds(30 + static_cast<int64_t>(rng_.Below(240))));
      if (counts_.sent / restore_every > counts_.restored) Restore(rng_.Below(2));
    }
    Settle(2000);
    for (auto& sent : sent_) {
      for (const auto& [text, one] : sent) counts_.lost_silently += !one.shown && one.state != DeliveryState::kExpired ? 1 : 0;
    }
    return counts_;
  }

 private:
  void Pass(absl::Duration time) {
    now_ += time;
    store_.Pass(time, now_);
  }
  void Meet() {
    for (size_t who = 0; who < 2; ++who) Live(who, false, true);
    Introduce(0);
    Introduce(1);
  }
  void Introduce(size_t who) {
    (void)people_[who]->book().Add("other", people_[1 - who]->address());
    people_[who]->book().SetAcknowledge(people_[1 - who]->address(), true);
    Live(who, false, false);
  }
  void Send(size_t who) {
    const std::string text =
        absl::StrCat(who, "/", counts_.sent, "/", std::string(rng_.Below(20) == 0 ? rng_.Below(6000) : 20, '.'));
    const auto id = people_[who]->Send(people_[1 - who]->address(), text, now_);
    if (!id.ok()) return;
    ++counts_.sent;
    sent_[who][text] = {*id, now_};
    texts_[who][*id] = text;
    order_[who][text] = counts_.sent;
  }
  void Live(size_t who, bool may_die, bool door) {
    support::Person& person = *people_[who];
    if (may_die) person.disk.writes_left = static_cast<int64_t>(rng_.Below(12));
    if (!person.Run(now_, door).ok() || may_die) {
      ++counts_.deaths;
      person.Restart(now_);
    }
    TakeShown(who);
  }
  void TakeShown(size_t who) {
    support::Person& person = *people_[who];
    auto& sent = sent_[1 - who];
    for (const auto& one : person.shown) {
      const auto it = sent.find(one.text);
      if (it == sent.end()) {
        ++counts_.wrong_states;  // shown, but never sent
        continue;
      }
      const size_t number = order_[1 - who].at(one.text);
      const bool forgotten =
          forgot_at_[who] >= number;  // shown on the machine that was lost; once more is no duplicate to this one
      if (it->second.shown && !forgotten) ++counts_.duplicates_seen;
      if (!it->second.shown) ++counts_.shown;
      it->second.shown = true;
      counts_.late += one.late ? 1 : 0;
      if (!one.late && number < last_shown_[who]) ++counts_.out_of_order;
      last_shown_[who] = std::max(last_shown_[who], number);
    }
    person.shown.clear();
  }
  void CheckState(size_t who, const chat::StateChange& change) {
    const auto text = texts_[who].find(change.id);
    if (text == texts_[who].end()) return;
    const auto known = sent_[who].find(text->second);
    if (known == sent_[who].end()) return;  // of a machine that is lost
    Sent& sent = known->second;
    sent.state = change.state;
    TakeShown(1 - who);
    const bool wrong = (change.state == DeliveryState::kDelivered && !sent.shown) ||
                       (change.state == DeliveryState::kStored && change.copies < 2) ||
                       (change.state == DeliveryState::kExpired && now_ < sent.when + absl::Hours(14 * 24));
    counts_.wrong_states += wrong ? 1 : 0;
    counts_.expired += change.state == DeliveryState::kExpired ? 1 : 0;
  }
  // One machine is lost, with what waited on it: only the identity and the contacts come back.
  void Restore(size_t who) {
    Settle(400);  // what was said is delivered, as far as the store allows
    support::Person& person = *people_[who];
    for (auto it = sent_[who].begin(); it != sent_[who].end();) {  // texts that died with the machine: nobody was told otherwise
      it = it->second.shown || it->second.state == DeliveryState::kExpired ? std::next(it) : sent_[who].erase(it);
    }
    forgot_at_[who] = counts_.sent;
    last_shown_[who] = 0;
    person.RestoreOnNewMachine(now_, {{"other", people_[1 - who]->address()}});
    person.book().SetAcknowledge(people_[1 - who]->address(), true);
    ++counts_.restored;
    Settle(60);
    const chat::Conversation* conversation = person.book().FindConversation(people_[1 - who]->address());
    counts_.restored_conversations += conversation != nullptr && conversation->confirmed() ? 1 : 0;
  }
  void Settle(int rounds) {
    for (int i = 0; i < rounds; ++i) {
      if (i % 20 == 0 && i > 0 && AllDelivered()) return;
      for (size_t who = 0; who < 2; ++who) Live(who, false, i % 4 == 0);
      Pass(absl::Minutes(5));
    }
  }
  bool AllDelivered() const {
    for (size_t who = 0; who < 2; ++who) {
      const chat::Conversation* conversation = people_[who]->book().FindConversation(people_[1 - who]->address());
      if (conversation == nullptr || !conversation->confirmed()) return false;
      for (const auto& [number, message] : conversation->outbox().messages()) {
        if (!message.Final()) return false;
      }
    }
    return true;
  }

  const size_t messages_;
  support::SeededRng rng_;
  support::LossyStore store_;
  std::unique_ptr<support::Person> people_[2];
  absl::Time now_ = absl::FromUnixSeconds(20780 * 86400 + 40000);
  std::map<std::string, Sent> sent_[2];
  std::map<chat::MessageId, std::string> texts_[2];
  std::map<std::string, size_t> order_[2];
  size_t last_shown_[2] = {}, forgot_at_[2] = {};
  Counts counts_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  keys::InitCrypto();
  const size_t messages = std::strtoull(argv[1], nullptr, 10);
  const uint64_t seed = std::strtoull(argv[2], nullptr, 10);
  const Counts two = Talk(messages, seed).Run();
  Counts groups = sim::GroupTalk(messages / 50, seed, messages / 1000).Run();
  for (const uint64_t other : {seed + 2, seed + 3})
    sim::AddCounts(groups, sim::GroupTalk(messages / 100, other, std::max<size_t>(20, messages / 5000)).Run());
  for (const auto& [prefix, counts] : {std::pair("", two), std::pair("group_", groups)}) {
    for (const auto& [name, value] : counts.All()) std::printf("%s%s=%zu ", prefix, name, value);
  }
  std::printf("\n");
  return 0;
}
