// SPDX-License-Identifier: Apache-2.0
#include "cli/json.h"

#include <gtest/gtest.h>

namespace cli {
namespace {

TEST(Json, KeepsTheOrderOfMembers) {
  EXPECT_EQ(
      JsonObject().Add("b", 1).Add("a", true).Add("c", "x").Add("d", 0.5).Add("e", std::vector<std::string>{"p", "q"}).Text(),
      R"({"b":1,"a":true,"c":"x","d":0.5,"e":["p","q"]})");
}

TEST(Json, EscapesWhatMustBe) {
  EXPECT_EQ(JsonString("a\"b\\c\nd\te\r\x01\x7f"), R"("a\"b\\c\nd\te\r\u0001\u007f")");
  EXPECT_EQ(JsonString(std::string("\0", 1)), R"("\u0000")");
  EXPECT_EQ(JsonString("\xc2\x9b" "2J\xc2\xa0"), "\"\\u009b2J\xc2\xa0\"") << "C1 controls";
}

TEST(Json, KeepsUtf8AndReplacesWhatIsNone) {
  EXPECT_EQ(JsonString("Grüße 世界 🌍"), "\"Grüße 世界 🌍\"");
  EXPECT_EQ(JsonString("a\xff"), "\"a\xef\xbf\xbd\"");
  EXPECT_EQ(JsonString("\xc0\xaf"), "\"\xef\xbf\xbd\xef\xbf\xbd\"") << "overlong";
  EXPECT_EQ(JsonString("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"") << "a surrogate";
  EXPECT_EQ(JsonString("\xe4\xb8"), "\"\xef\xbf\xbd\xef\xbf\xbd\"") << "cut short";
}

TEST(Json, NumbersStayNumbers) {
  EXPECT_EQ(JsonObject().Add("n", uint64_t{18446744073709551615u}).Add("m", -1).Text(), R"({"n":18446744073709551615,"m":-1})");
  EXPECT_EQ(JsonObject().Add("n", 1.0 / 0.0).Text(), R"({"n":null})");
}

}  // namespace
}  // namespace cli
