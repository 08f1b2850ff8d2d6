// SPDX-License-Identifier: Apache-2.0
// tests/chat/group_book_world.h — members of a group by themselves: what they tell each other is handed over at once, boxes lie
// in a map.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "chat/contact_entries.h"
#include "chat/group_book.h"
#include "tests/support/seeded_rng.h"
#include "tests/support/status_matchers.h"

namespace support {

using Texts = std::vector<std::string>;

// The store: a box at each place that was written.
using Boxes = std::map<overlay::NodeId, base::Bytes>;

class Member {
 public:
  explicit Member(uint64_t seed) : rng_(seed), key(keys::SigningKey::Generate(rng_).public_key()) { Restart(); }

  // Only what was saved is known.
  void Restart() {
    book = std::make_unique<chat::GroupBook>(chat::GroupBook::Options{"local", 1, key}, rng_);
    for (const bool first : {true, false}) {
      for (const auto& [name, entry] : disk_) {
        if ((entry.type == chat::kGroupEntry) != first) continue;
        EXPECT_OK(book->Load(entry));
      }
    }
  }
  chat::GroupMember AsMember() const { return {key, absl::StrCat("m", base::ToHex(key.view().first(2)))}; }

  // Saves, and hands out what is to be told.
  std::vector<chat::GroupBook::Told> Save(absl::Time now) {
    book->Advance(now);
    return SaveAsItIs();
  }
  std::vector<chat::GroupBook::Told> SaveAsItIs() {
    auto told = book->TakeControls();
    chat::GroupBook::Change change = book->TakeChange();
    for (chat::BookEntry& entry : change.entries) {
      const auto name = std::pair(entry.type, entry.name);
      disk_.erase(name);
      if (entry.value) disk_.emplace(name, std::move(entry));
    }
    for (const chat::Message& message : change.arrived) {
      texts.push_back(base::ToString(message.text));
      late += message.late ? 1 : 0;
    }
    notices.insert(notices.end(), change.notices.begin(), change.notices.end());
    for (const auto& state : change.states) states[state.change.id] = state.change.state;
    return told;
  }
  void Write(Boxes& boxes, absl::Time now) {
    for (const chat::GroupBook::Put& put : book->Puts(now, 1000)) {
      boxes.emplace(put.record.name.point, put.record.body);
      book->OnPut(put.group, put.seq, 3, now);
    }
  }
  void Read(const Boxes& boxes, absl::Time now) {
    auto reads = book->BeginRound({}, now);
    while (!reads.empty()) {
      std::vector<chat::GroupBook::Read> more;
      for (const chat::GroupBook::Read& read : reads) {
        const auto box = boxes.find(read.probe.point);
        for (auto& one : book->OnRead(read, box == boxes.end() ? std::nullopt : std::optional(box->second), now))
          more.push_back(std::move(one));
      }
      reads = std::move(more);
    }
  }
  // What is on disk of feeds is damaged.
  void DamageFeeds() {
    for (auto& [name, entry] : disk_) {
      if (entry.type == chat::kFeedEntry) entry.value->resize(entry.value->size() / 2);
    }
  }
  std::vector<chat::BookEntry> OnDisk() const {
    std::vector<chat::BookEntry> entries;
    for (const auto& [name, entry] : disk_) entries.push_back(entry);
    return entries;
  }
  size_t Count(chat::GroupNotice::Kind kind) const {
    return static_cast<size_t>(std::count_if(notices.begin(), notices.end(), [&](const auto& one) { return one.kind == kind; }));
  }

 private:
  SeededRng rng_;
  std::map<std::pair<uint8_t, base::Bytes>, chat::BookEntry> disk_;

 public:
  const keys::PublicKey key;
  std::unique_ptr<chat::GroupBook> book;
  Texts texts;
  int late = 0;
  std::vector<chat::GroupNotice> notices;
  std::map<chat::MessageId, chat::DeliveryState> states;
};

class GroupBookWorld : public testing::Test {
 protected:
  void People(size_t count) {
    for (size_t i = 0; i < count; ++i) people_.push_back(std::make_unique<Member>(i + 1));
  }
  Member& At(size_t i) { return *people_[i]; }
  std::vector<chat::GroupMember> Others(size_t from, size_t to) {
    std::vector<chat::GroupMember> members;
    for (size_t i = from; i < to; ++i) members.push_back(At(i).AsMember());
    return members;
  }
  // All that is told is heard, except by whom is away.
  void Talk(const std::set<size_t>& away = {}) {
    for (bool any = true; any;) {
      any = false;
      for (size_t i = 0; i < people_.size(); ++i) {
        if (away.contains(i)) continue;
        for (const chat::GroupBook::Told& told : At(i).Save(now_)) Queue(At(i).key, told);
      }
      for (size_t i = 0; i < people_.size(); ++i) {
        if (away.contains(i)) continue;
        for (auto& [from, bytes] : std::exchange(post_[At(i).key], {})) {
          At(i).book->OnControl(from, bytes, now_);
          any = true;
        }
      }
    }
  }
  void Queue(const keys::PublicKey& from, const chat::GroupBook::Told& told) { post_[told.to].emplace_back(from, told.bytes); }
  // Everybody writes, then reads.
  void Round(const std::set<size_t>& away = {}) {
    Talk(away);
    for (size_t i = 0; i < people_.size(); ++i) {
      if (!away.contains(i)) At(i).Write(boxes_, now_);
    }
    for (size_t i = 0; i < people_.size(); ++i) {
      if (!away.contains(i)) At(i).Read(boxes_, now_);
    }
    Talk(away);
    now_ += absl::Minutes(1);
  }
  // A group of the first so many, which all have accepted.
  void Found(size_t count) {
    ASSERT_OK_AND_ASSIGN(group_, At(0).book->Create("friends", Others(1, count), "me", now_));
    Talk();
    for (size_t i = 1; i < count; ++i) ASSERT_OK(At(i).book->Accept(group_, now_));
    Talk();
  }
  void Say(size_t who, const std::string& text) {
    ASSERT_OK(At(who).book->Send(group_, base::ToBytes(base::AsBytes(text)), now_));
  }

  absl::Time now_ = absl::FromUnixSeconds(20780 * 86400 + 40000);
  std::vector<std::unique_ptr<Member>> people_;
  std::map<keys::PublicKey, std::vector<std::pair<keys::PublicKey, base::Bytes>>> post_;
  Boxes boxes_;
  chat::GroupId group_;
  SeededRng new_rng_{77};
};

}  // namespace support
