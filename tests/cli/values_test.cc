// SPDX-License-Identifier: Apache-2.0
#include "cli/values.h"

#include <gtest/gtest.h>

namespace cli {
namespace {

TEST(Durations, AreReadWithTheirUnit) {
  EXPECT_EQ(ParseDuration("250ms"), absl::Milliseconds(250));
  EXPECT_EQ(ParseDuration("30s"), absl::Seconds(30));
  EXPECT_EQ(ParseDuration("30"), absl::Seconds(30));
  EXPECT_EQ(ParseDuration("5m"), absl::Minutes(5));
  EXPECT_EQ(ParseDuration("24h"), absl::Hours(24));
  EXPECT_EQ(ParseDuration("7d"), absl::Hours(7 * 24));
  for (const char* text : {"", "s", "-1s", "1.5s", "5x", "5 s", "1000d", "99999999999999999999s"}) {
    EXPECT_FALSE(ParseDuration(text)) << text;
  }
}

TEST(Sizes, HaveBinaryUnits) {
  EXPECT_EQ(ParseBytes("2 GiB"), 2ull << 30);
  EXPECT_EQ(ParseBytes("512MiB"), 512ull << 20);
  EXPECT_EQ(ParseBytes("17 B"), 17u);
  EXPECT_EQ(ParseBytes("17"), 17u);
  EXPECT_EQ(ParseBytes("1024 TiB"), 1ull << 50);
  for (const char* text : {"", "GiB", "2 GB", "2  GiB", "1.5 GiB", "-1", "2 ", "1025 TiB", "99999999999999999999"}) {
    EXPECT_FALSE(ParseBytes(text)) << text;
  }
}

TEST(Ports, AreNumbersThatFit) {
  EXPECT_EQ(ParsePort("0"), 0);
  EXPECT_EQ(ParsePort("65535"), 65535);
  for (const char* text : {"", "65536", "-1", "1e3", " 1", "000001"}) EXPECT_FALSE(ParsePort(text)) << text;
}

TEST(Addresses, AreHostAndPort) {
  EXPECT_EQ(ParseHostPort("localhost:10001")->Text(), "127.0.0.1:10001");
  EXPECT_EQ(ParseHostPort("example.org:7")->Text(), "example.org:7");
  EXPECT_EQ(ParseHostPort("[::1]:7")->Text(), "[::1]:7");
  for (const char* text : {"", "host", ":7", "host:", "host:x", "::1:7", "a b:7", "host:70000", "a/b:7"}) {
    EXPECT_FALSE(ParseHostPort(text)) << text;
  }
}

TEST(Addresses, OfBootstrapMayPinAKey) {
  EXPECT_FALSE(ParseBootstrap("localhost:1")->node_key);
  const std::string key(64, 'a');
  const auto pinned = ParseBootstrap("localhost:1/" + key);
  ASSERT_TRUE(pinned && pinned->node_key);
  EXPECT_EQ(base::ToHex(pinned->node_key->bytes), key);
  for (const std::string& text :
       {std::string("localhost:0"), std::string("localhost:1/"), "localhost:1/" + key + "a", std::string("none")}) {
    EXPECT_FALSE(ParseBootstrap(text)) << text;
  }
}

TEST(Addresses, KnowWhatIsPrivate) {
  for (const char* host :
       {"127.0.0.1", "10.1.2.3", "172.16.0.1", "172.31.9.9", "192.168.1.1", "169.254.0.1", "::1", "fe80::1", "fd00::1"}) {
    EXPECT_TRUE(IsPrivateIp(host)) << host;
  }
  for (const char* host : {"0.0.0.0", "8.8.8.8", "172.32.0.1", "192.169.0.1", "::", "2001:db8::1", "localhost"}) {
    EXPECT_FALSE(IsPrivateIp(host)) << host;
  }
}

TEST(Addresses, AreShownAsTyped) {
  EXPECT_EQ(ShownAddress("127.0.0.1:10001"), "localhost:10001");
  EXPECT_EQ(ShownAddress("10.0.0.1:10001"), "10.0.0.1:10001");
  EXPECT_EQ(ShownAddress(""), "");
}

TEST(Amounts, AreShownForPeople) {
  EXPECT_EQ(ShownDuration(absl::Milliseconds(1430)), "1.4 s");
  EXPECT_EQ(ShownDuration(absl::Seconds(42)), "42 s");
  EXPECT_EQ(ShownDuration(absl::Minutes(6)), "6 m");
  EXPECT_EQ(ShownDuration(absl::Minutes(134)), "2 h 14 m");
  EXPECT_EQ(ShownDuration(absl::Hours(76)), "3 d 4 h");
  EXPECT_EQ(ShownBytes(17), "17 B");
  EXPECT_EQ(ShownBytes(6.2 * 1024 * 1024), "6.2 MiB");
  EXPECT_EQ(ShownCount(0), "0");
  EXPECT_EQ(ShownCount(999), "999");
  EXPECT_EQ(ShownCount(1184), "1,184");
  EXPECT_EQ(ShownCount(1234567), "1,234,567");
}

// Names that others choose are in commands to be typed.
TEST(Words, AreOneWordForAShell) {
  EXPECT_EQ(ShellQuoted("friends-2.0"), "friends-2.0");
  EXPECT_EQ(ShellQuoted("my friends"), "'my friends'");
  EXPECT_EQ(ShellQuoted("#1a2b3c"), "'#1a2b3c'");
  EXPECT_EQ(ShellQuoted("-y"), "'-y'");
  EXPECT_EQ(ShellQuoted(""), "''");
  EXPECT_EQ(ShellQuoted("x'; touch owned; '"), "'x'\\''; touch owned; '\\'''");
}

TEST(Words, AreCutInTheMiddle) {
  EXPECT_EQ(Cut("short"), "short");
  EXPECT_EQ(Cut("bulb1qrljgwej0tm7m8ywut29rkk5q36hh4mapkq5wa2rxrqtkqdgrvpu2r384zi"), "bulb1qrljgwej0…r384zi");
}

}  // namespace
}  // namespace cli
