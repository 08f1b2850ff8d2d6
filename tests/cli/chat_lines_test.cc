// SPDX-License-Identifier: Apache-2.0
#include "cli/chat_lines.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace cli
