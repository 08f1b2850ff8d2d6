// SPDX-License-Identifier: Apache-2.0
// tests/sim/chat_groups.h — five people and a group over a store that loses things: part of chat_main.cc, judged as conversations
// are.
//
// The first one made the group, and knows all the others, who do not know each other. All of them but the first are taken out and
// put in again, die at random writes, and lose their machines (the first one too). A text is awaited by whoever was in the group,
// and known to be by its writer, when it was written, for as long as both are in it. It is lost in silence if it was not shown,
// no loss of that writer's texts was told, and its writer was not told that it expired; whoever was not in the group, as the
// writer knew it, and is shown the text nevertheless makes a wrong state.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/chat/book_world.h"

namespace sim {

struct Counts {
  size_t sent = 0, shown = 0, lost_silently = 0, duplicates_seen = 0, out_of_order = 0, wrong_states = 0, late = 0, expired = 0;
  size_t restored = 0, restored_conversations = 0, deaths = 0;
  size_t changes = 0, told_lost = 0;  // of groups: who is in it; boxes

  std::vector<std::pair<const char*, size_t>> All() const {
    return {{"sent", sent},
            {"shown", shown},
            {"lost_silently", lost_silently},
            {"duplicates_seen", duplicates_seen},
            {"out_of_order", out_of_order},
            {"wrong_states", wrong_states},
            {"late", late},
            {"expired", expired},
            {"restored", restored},
            {"restored_conversations", restored_conversations},
            {"deaths", deaths},
            {"changes", changes},
            {"told_lost", told_lost}};
  }
};

inline void AddCounts(Counts& sum, const Counts& one) {
  for (const auto field : {&Counts::sent, &Counts::shown, &Counts::lost_silently, &Counts::duplicates_seen, &Counts::out_of_order,
                           &Counts::wrong_states, &Counts::late, &Counts::expired, &Counts::restored,
                           &Counts::restored_conversations, &Counts::deaths, &Counts::changes, &Counts::told_lost})
    sum.*field += one.*field;
}

class GroupTalk {
 public:
  // `change_every` so many texts somebody is taken out, or put in again: at 20 that is within the hour, so that what was said by
  // and to a member is still on its way when it is one no more, or again.
  GroupTalk(size_t messages, uint64_t seed, size_t change_every)
      : messages_(messages),
        change_every_(std::max<size_t>(1, change_every)),
        rng_(seed),
        store_({.nodes = 40, .droppers = 8, .failure = 0.1, .lost_answer = 0.05, .half_life = absl::Hours(1)}, seed + 1) {
    for (size_t who = 0; who < kPeople; ++who) {
      people_.push_back(std::make_unique<support::Person>(store_, seed + 10 + who));
      people_[who]->on_state = [this, who](const chat::StateChange& change) { CheckState(who, change); };
    }
  }

  Counts Run() {
    Found();
    const size_t restore_every = std::max<size_t>(1, messages_ / 4);
    for (size_t step = 0; counts_.sent < messages_; ++step) {
      const size_t who = rng_.Below(kPeople);
      for (size_t burst = rng_.Below(4); burst > 0; --burst) Send(who);
      Live(who, /*may_die=*/rng_.Below(16) == 0, /*door=*/step % 8 == 0);
      Pass(absl::Seconds(30 + static_cast<int64_t>(rng_.Below(240))));
      if (counts_.sent / change_every_ > counts_.changes) Change();
      if (counts_.sent / restore_every > counts_.restored) Restore(rng_.Below(kPeople));
    }
    Settle(1000);
    for (const auto& [between, texts] : awaited_) counts_.lost_silently += texts.size() - std::min(texts.size(), lost_[between]);
    return counts_;
  }

 private:
  static constexpr size_t kPeople = 5;
  struct Text {
    size_t number = 0, writer = 0;
    absl::Time when;
    std::set<size_t> readable;  // by whom, as its writer knew
    std::set<size_t> shown;
  };
  using Between = std::pair<size_t, size_t>;  // reader, writer

  const chat::Group* GroupOf(size_t who) const { return people_[who]->book().groups().Find(group_); }
  bool Lists(size_t who, size_t other) const {
    const chat::Group* group = GroupOf(who);
    return group != nullptr && group->Find(people_[other]->address()) != nullptr;
  }
  void Pass(absl::Duration time) {
    now_ += time;
    store_.Pass(time, now_);
  }
  void Found() {
    for (size_t who = 0; who < kPeople; ++who) Live(who, false, true);  // bundles
    std::vector<keys::PublicKey> others;
    for (size_t who = 1; who < kPeople; ++who) {
      EXPECT_OK(people_[0]->book().Add(absl::StrCat("p", who), people_[who]->address()));
      EXPECT_OK(people_[who]->book().Add("p0", people_[0]->address()));
      if (who + 1 < kPeople) others.push_back(people_[who]->address());
    }
    group_ = *people_[0]->book().CreateGroup("friends", others, "p0", now_);
    for (size_t who = 0; who + 1 < kPeople; ++who) members_.insert(who);
    for (int round = 0; round < 300 && !Complete(); ++round) Round();
  }
  // All members know all the others' chains.
  bool Complete() const {
    return std::all_of(members_.begin(), members_.end(), [&](size_t who) {
      return people_[who]->book().groups().Chains(group_, now_).size() >= members_.size() - 1;
    });
  }
  void Send(size_t who) {
    const chat::Group* group = GroupOf(who);
    if (!members_.contains(who) || group == nullptr || group->state != chat::Group::State::kMember) return;
    const size_t dots = rng_.Below(20) == 0 ? rng_.Below(6000) : 20;
    const std::string words = absl::StrCat(who, "/", counts_.sent, "/", std::string(dots, '.'));
    const auto id = people_[who]->SendToGroup(group_, words, now_);
    if (!id.ok()) return;
    Text& text = texts_[words] = {counts_.sent++, who, now_, {}, {}};
    for (size_t reader = 0; reader < kPeople; ++reader) {
      if (reader == who || !Lists(who, reader)) continue;
      text.readable.insert(reader);
      if (members_.contains(reader)) awaited_[{reader, who}].insert(text.number);
    }
    words_[*id] = words;
  }
  void Live(size_t who, bool may_die, bool door) {
    support::Person& person = *people_[who];
    if (may_die) person.disk.writes_left = static_cast<int64_t>(rng_.Below(12));
    if (!person.Run(now_, door).ok() || may_die) {
      ++counts_.deaths;
      person.Restart(now_);
    }
    const chat::Group* group = GroupOf(who);
    if (group != nullptr && group->state == chat::Group::State::kInvited) person.book().AcceptGroup(group_, now_).IgnoreError();
    TakeShown(who);
  }
  void TakeShown(size_t who) {
    support::Person& person = *people_[who];
    for (const auto& one : person.shown) {
      const auto it = texts_.find(one.text);
      if (it == texts_.end() || !it->second.readable.contains(who) || one.group != group_) {
        ++counts_.wrong_states;
        continue;
      }
      Text& text = it->second;
      if (!text.shown.insert(who).second) ++counts_.duplicates_seen;
      ++counts_.shown;
      awaited_[{who, text.writer}].erase(text.number);
      size_t& last = last_shown_[{who, text.writer}];
      counts_.late += one.late ? 1 : 0;
      if (!one.late && text.number < last) ++counts_.out_of_order;
      last = std::max(last, text.number);
    }
    person.shown.clear();
    for (const chat::BookNotice& notice : std::exchange(person.notices, {})) {
      if (notice.kind != chat::BookNotice::Kind::kGroupLost) continue;
      counts_.told_lost += notice.count;
      for (size_t writer = 0; writer < kPeople; ++writer) {
        if (people_[writer]->address() == notice.peer) lost_[{who, writer}] += notice.count;
      }
    }
  }
  void CheckState(size_t who, const chat::StateChange& change) {
    const auto words = words_.find(change.id);
    if (words == words_.end()) return;  // between two people
    const Text& text = texts_.at(words->second);
    const bool wrong = change.state == DeliveryState::kDelivered || change.state == DeliveryState::kRefused ||
                       (change.state == DeliveryState::kStored && change.copies < 2) ||
                       (change.state == DeliveryState::kExpired && members_.contains(who) &&
                        now_ < text.when + absl::Hours(14 * 24));  // who was taken out sends no more
    counts_.wrong_states += wrong ? 1 : 0;
    if (change.state != DeliveryState::kExpired) return;
    ++counts_.expired;
    for (auto& [between, texts] : awaited_) {
      if (between.second == who) texts.erase(text.number);
    }
  }
  // Nobody awaits anything of it any more, nor it of anybody.
  void Forget(size_t who) {
    std::erase_if(awaited_, [&](const auto& one) { return one.first.first == who || one.first.second == who; });
    std::erase_if(lost_, [&](const auto& one) { return one.first.first == who || one.first.second == who; });
  }
  // One of the others goes, or comes back once all have seen that it went.
  void Change() {
    const size_t who = 1 + rng_.Below(kPeople - 1);
    support::Person& creator = *people_[0];
    if (members_.contains(who)) {
      if (members_.size() <= 3) return;
      EXPECT_OK(creator.book().RemoveFromGroup(group_, people_[who]->address(), now_));
      members_.erase(who);
      Forget(who);
    } else {
      const bool is_gone = std::none_of(members_.begin(), members_.end(), [&](size_t other) { return Lists(other, who); });
      const chat::Group* own = GroupOf(who);
      if (!is_gone || (own != nullptr && own->state != chat::Group::State::kEnded)) return;
      EXPECT_OK(creator.book().AddToGroup(group_, {people_[who]->address()}, now_));
      members_.insert(who);
    }
    ++counts_.changes;
    Live(0, false, false);
  }
  // One machine is lost: identity, contacts and the list come back. What was written to it before the others heard of that is not
  // read there.
  void Restore(size_t who) {
    ++counts_.restored;
    Settle(400);
    const chat::Group* group = GroupOf(who);
    std::vector<chat::Group> groups;
    if (group != nullptr && group->state == chat::Group::State::kMember) groups.push_back(*group);
    std::map<std::string, keys::PublicKey> contacts;
    for (size_t other = 0; other < kPeople; ++other) {
      if (other != who && (who == 0 || other == 0)) contacts[absl::StrCat("p", other)] = people_[other]->address();
    }
    people_[who]->RestoreOnNewMachine(now_, contacts, groups);
    for (auto& [words, text] : texts_) text.shown.erase(who);
    for (size_t writer = 0; writer < kPeople; ++writer) last_shown_.erase({who, writer});
    Forget(who);
    for (int round = 0; round < 300 && !Complete(); ++round) Round();
    counts_.restored_conversations += Complete() ? 1 : 0;
  }
  void Round() {
    for (size_t who = 0; who < kPeople; ++who) Live(who, false, /*door=*/true);
    Pass(absl::Minutes(5));
  }
  void Settle(int rounds) {
    const auto all_shown = [&] {
      return std::all_of(awaited_.begin(), awaited_.end(), [](const auto& one) { return one.second.empty(); });
    };
    for (int i = 0; i < rounds && !all_shown(); ++i) Round();
  }

  using DeliveryState = chat::DeliveryState;
  const size_t messages_, change_every_;
  support::SeededRng rng_;
  support::LossyStore store_;
  std::vector<std::unique_ptr<support::Person>> people_;
  absl::Time now_ = absl::FromUnixSeconds(20780 * 86400 + 40000);
  chat::GroupId group_;
  std::set<size_t> members_;  // as its creator has it
  std::map<std::string, Text> texts_;
  std::map<chat::MessageId, std::string> words_;
  std::map<Between, std::set<size_t>> awaited_;
  std::map<Between, size_t> lost_, last_shown_;  // boxes that were told; number
  Counts counts_;
};

}  // namespace sim
