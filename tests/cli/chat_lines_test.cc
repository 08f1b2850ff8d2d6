// SPDX-License-Identifier: Apache-2.0
#include "cli/chat_lines.h"

#include "cli/talk_commands.h"
#include "tests/support/status_matchers.h"

namespace cli {
namespace {

void ExpectTyped(const std::string& line, const std::string& to, const std::string& text) {
  const TypedLine typed = ParseTypedLine(line);
  EXPECT_EQ(typed.to, to) << line;
  EXPECT_EQ(typed.text, text) << line;
}

TEST(TypedLines, NameWhoReadsThem) {
  ExpectTyped("@bob the train", "bob", "the train");
  ExpectTyped("@bob  two spaces", "bob", " two spaces");
  ExpectTyped("@bob", "bob", "");
  ExpectTyped("and more", "", "and more");
  ExpectTyped("//slash", "", "/slash");
  ExpectTyped("@", "", "");
}

TEST(ChatProfile, HasThreeNames) {
  ASSERT_OK_AND_ASSIGN(const absl::Duration low, PaceOf("low"));
  ASSERT_OK_AND_ASSIGN(const absl::Duration usual, PaceOf(""));
  ASSERT_OK_AND_ASSIGN(const absl::Duration fast, PaceOf("fast"));
  EXPECT_GT(low, usual);
  EXPECT_GT(usual, fast);
  EXPECT_EQ(*PaceOf("normal"), usual);
  EXPECT_FALSE(PaceOf("quick").ok());
}

}  // namespace
}  // namespace cli
