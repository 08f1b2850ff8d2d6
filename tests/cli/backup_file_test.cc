// SPDX-License-Identifier: Apache-2.0
#include "cli/backup_file.h"

#include <gtest/gtest.h>

#include "tests/support/seeded_rng.h"
#include "tests/support/status_matchers.h"

namespace cli {
namespace {

class BackupFile : public testing::Test {
 protected:
  BackupFile() {
    for (const char* name : {"bob", "gr\xc3\xbc\xc3\x9f", "carol"}) {
      chat::Contact contact;
      contact.key = keys::SigningKey::Generate(rng_).public_key();
      contact.name = name;
      contact.verified = contacts_.empty();
      contact.acknowledge = !contacts_.empty();
      contacts_.push_back(contact);
    }
    chat::Group group{.id = {rng_.Array<32>()}, .name = "friends", .creator = identity_.key.public_key(), .epoch = 7};
    for (const chat::Contact& contact : contacts_) group.members.push_back({contact.key, contact.name});
    groups_.push_back(std::move(group));
  }
  std::string Text() {
    auto text = EncodeBackup(identity_, contacts_, groups_, std::nullopt, rng_);
    EXPECT_OK(text);
    return *text;
  }

  support::SeededRng rng_{6};
  const keys::LoadedKey identity_{{.name = "me", .created = absl::FromUnixSeconds(1'700'000'000)},
                                  keys::SigningKey::Generate(rng_)};
  std::vector<chat::Contact> contacts_;
  std::vector<chat::Group> groups_;
};

TEST_F(BackupFile, ComesBackAsItWasWritten) {
  const std::string text = Text();
  ASSERT_OK_AND_ASSIGN(const bool sealed, IsSealedBackup(text));
  EXPECT_FALSE(sealed);
  ASSERT_OK_AND_ASSIGN(const Backup backup, DecodeBackup(text, std::nullopt));
  EXPECT_EQ(backup.identity.key.public_key(), identity_.key.public_key());
  EXPECT_EQ(backup.identity.info.created, identity_.info.created);
  ASSERT_EQ(backup.contacts.size(), contacts_.size());
  for (size_t i = 0; i < contacts_.size(); ++i) {
    EXPECT_EQ(backup.contacts[i].key, contacts_[i].key);
    EXPECT_EQ(backup.contacts[i].name, contacts_[i].name);
    EXPECT_EQ(backup.contacts[i].verified, contacts_[i].verified);
    EXPECT_EQ(backup.contacts[i].acknowledge, contacts_[i].acknowledge);
  }
  ASSERT_EQ(backup.groups.size(), 1u);
  EXPECT_EQ(backup.groups[0].id, groups_[0].id);
  EXPECT_EQ(backup.groups[0].name, "friends");
  EXPECT_EQ(backup.groups[0].epoch, 7u);
  EXPECT_EQ(backup.groups[0].members, groups_[0].members);
}

TEST_F(BackupFile, WhoeverChangesAByteIsFoundOut) {
  const std::string text = Text();
  for (size_t at = 0; at < text.size(); ++at) {
    std::string changed = text;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    EXPECT_FALSE(DecodeBackup(changed, std::nullopt).ok()) << at;
  }
  for (size_t size = 0; size < text.size(); size += 7)
    EXPECT_FALSE(DecodeBackup(text.substr(0, size), std::nullopt).ok()) << size;
}

TEST_F(BackupFile, NamesOfContactsAreNotInIt) {
  const std::string text = Text();
  EXPECT_EQ(text.find("carol"), std::string::npos);
  EXPECT_EQ(text.find(base::ToHex(base::AsBytes("carol"))), std::string::npos);
  EXPECT_EQ(text.find(base::ToHex(base::AsBytes("friends"))), std::string::npos);
}

}  // namespace
}  // namespace cli
