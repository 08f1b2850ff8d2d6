// SPDX-License-Identifier: Apache-2.0
#include "cli/chat_lines.h"

#include <gtest/gtest.h>

#include <set>

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

TEST(TypedLines, QuoteNamesWithSpaces) {
  ExpectTyped("@\"Anna Maria\" see you", "Anna Maria", "see you");
  ExpectTyped("@\"Anna Maria\"", "Anna Maria", "");
  ExpectTyped("@\"Anna", "\"Anna", "");
}

TypedLine ExpectAddressed(const std::string& line, const std::set<std::string>& known) {
  const auto addressed = Addressed(ParseTypedLine(line), [&](const std::string& name) { return known.count(name) > 0; });
  EXPECT_TRUE(addressed.ok()) << line;
  return addressed.value_or(TypedLine{"?", "?"});
}

TEST(TypedLines, FindTheNameWithSpacesThatIsKnown) {
  const TypedLine maria = ExpectAddressed("@Anna Maria see you at nine", {"Anna Maria"});
  EXPECT_EQ(maria.to, "Anna Maria");
  EXPECT_EQ(maria.text, "see you at nine");
  EXPECT_EQ(ExpectAddressed("@Anna Maria", {"Anna Maria"}).to, "Anna Maria");
  EXPECT_EQ(ExpectAddressed("@Anna Maria", {"Anna Maria"}).text, "");
  EXPECT_EQ(ExpectAddressed("@Anna see you", {"Anna"}).text, "see you");
  EXPECT_EQ(ExpectAddressed("@Bert see you", {"Anna"}).to, "Bert");
  EXPECT_EQ(ExpectAddressed("see you", {"Anna"}).to, "");
}

TEST(TypedLines, SendNothingWhereTwoNamesFit) {
  const std::set<std::string> known = {"Anna", "Anna Maria"};
  const auto is_known = [&](const std::string& name) { return known.count(name) > 0; };
  EXPECT_FALSE(Addressed(ParseTypedLine("@Anna Maria see you"), is_known).ok());
  EXPECT_EQ(ExpectAddressed("@Anna see you", known).to, "Anna");
  EXPECT_EQ(ExpectAddressed("@\"Anna\" Maria is here", known).text, "Maria is here");
}

}  // namespace
}  // namespace cli
