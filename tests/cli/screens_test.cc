// SPDX-License-Identifier: Apache-2.0
#include "cli/screens.h"

#include "chat/traffic_clock.h"

#include <gtest/gtest.h>

namespace cli {
namespace {

using bulbil::v1::RingLookupReply;
using bulbil::v1::RingShowReply;
using bulbil::v1::StatusReply;

StatusReply Example() {
  StatusReply reply;
  reply.set_version("0.1.0");
  reply.set_role("node");
  reply.set_state("ready");
  reply.set_network("local");
  reply.set_uptime_s(134 * 60);
  reply.set_id("9f3c…");
  reply.set_listening("127.0.0.1:10001");
  reply.set_advertised("127.0.0.1:10001");
  reply.mutable_ring()->set_size_estimate(12);
  reply.mutable_ring()->add_successors("127.0.0.1:10004");
  reply.mutable_ring()->add_successors("127.0.0.1:10003");
  reply.mutable_ring()->set_predecessor("127.0.0.1:10009");
  reply.mutable_ring()->set_fingers(31);
  reply.mutable_store()->set_records(1184);
  reply.mutable_store()->set_bytes(6.2 * 1024 * 1024);
  reply.mutable_store()->set_replicas(3);
  reply.mutable_store()->set_state("ok");
  reply.mutable_circuits()->set_own(2);
  reply.mutable_circuits()->set_cells_relayed(9120);
  reply.mutable_traffic()->set_profile("normal");
  reply.mutable_traffic()->set_tick_s(10);
  reply.mutable_traffic()->set_bytes_per_day(chat::BytesPerDay(chat::Profile::kNormal));
  reply.mutable_traffic()->set_cover_percent(71.2);
  reply.mutable_traffic()->set_waiting(2);
  reply.set_anonymity("A ring of 12 is small.");
  return reply;
}

TEST(StatusScreen, IsOneScreen) {
  EXPECT_EQ(StatusScreen(Example()),
            "node 10001   ready   full node   up 2 h 14 m   v0.1.0\n"
            "  id        9f3c…   listening localhost:10001   advertised the same\n"
            "  ring      12 nodes (estimate)   pred localhost:10009   succ localhost:10004   fingers 31\n"
            "  store     1,184 records, 6.2 MiB   k=3   owned 0\n"
            "  circuits  2 own, 0 relayed   0 links   built 0, failed 0\n"
            "  traffic   relayed 9,120 cells   clock normal, 185.6 MiB a day   cover 71 %   waiting 2\n"
            "\n"
            "! A ring of 12 is small.\n");
}

TEST(StatusScreen, SaysThatThereIsNoClock) {
  StatusReply reply = Example();
  reply.clear_traffic();
  EXPECT_NE(StatusScreen(reply).find("  traffic   relayed 9,120 cells   clock off\n"), std::string::npos);
}

TEST(StatusScreen, SaysThatARelayKeepsNothing) {
  StatusReply reply = Example();
  reply.set_role("relay");
  reply.mutable_store()->set_state("none");
  EXPECT_NE(StatusScreen(reply).find("store     none: a relay keeps no records\n"), std::string::npos);
  EXPECT_NE(StatusScreen(reply).find("   relay   "), std::string::npos);
}

TEST(StatusScreen, ShowsThePoolOnceThereIsOne) {
  StatusReply reply = Example();
  reply.mutable_circuits()->set_pool(64);
  reply.mutable_circuits()->set_networks(41);
  EXPECT_NE(StatusScreen(reply).find("waiting 2\n  pool      64 relays   41 networks known\n"), std::string::npos) << StatusScreen(reply);
}

TEST(StatusScreen, SaysWhatTheStoreIsStillWaitingFor) {
  StatusReply reply = Example();
  reply.mutable_store()->set_repairing(2048);
  reply.mutable_store()->set_state("suspect");
  EXPECT_NE(StatusScreen(reply).find("owned 0   repairing 2,048   suspect\n"), std::string::npos) << StatusScreen(reply);
}

TEST(StatusJson, HasWhatScriptsRelyOnEvenWhenEmpty) {
  StatusReply reply;
  reply.set_role("relay");
  EXPECT_EQ(
      StatusJson(reply),
      "{\"schema\":1,\"version\":\"\",\"role\":\"relay\",\"state\":\"\",\"network\":\"\",\"uptime_s\":0,\"id\":\"\","
      "\"listening\":\"\","
      "\"advertised\":\"\",\"ring\":{\"point\":\"\",\"size_estimate\":0,\"complete\":false,\"successors\":[],\"predecessor\":"
      "\"\","
      "\"fingers\":0,\"virtual_nodes\":0,\"points\":[],\"convicted\":0},\"store\":{\"records\":0,\"bytes\":0,\"replicas\":0,\"records_owned\":0,"
      "\"state\":\"\",\"repaired\":0,"
      "\"misplaced\":0,\"repairing\":0},\"circuits\":{\"own\":0,\"relayed\":0,\"links\":0,\"cells_relayed\":0,\"built\":0,"
      "\"failed\":0,\"ready\":0,\"queued\":0,\"pool\":0,\"networks\":0},"
      "\"anonymity\":\"\",\"cpu_s\":0,\"memory_mib\":0,\"traffic\":{\"profile\":\"\",\"tick_s\":0,\"bytes_per_day\":0,"
      "\"operations\":0,\"cover_percent\":0,\"left_out\":0,\"waiting\":0}}\n");
}

TEST(StatusJson, PrintsNumbersAsNumbersAndAddressesAsTyped) {
  const std::string json = StatusJson(Example());
  EXPECT_NE(json.find("\"successors\":[\"localhost:10004\",\"localhost:10003\"]"), std::string::npos) << json;
  EXPECT_NE(json.find("\"predecessor\":\"localhost:10009\""), std::string::npos) << json;
  EXPECT_NE(json.find("\"records\":1184"), std::string::npos) << json;
  EXPECT_NE(json.find("\"cells_relayed\":9120"), std::string::npos) << json;
}

TEST(LookupJson, HasExactlyThreeFields) {
  RingLookupReply reply;
  reply.set_owner(std::string(64, 'a'));
  reply.set_address("127.0.0.1:10003");
  EXPECT_EQ(LookupJson(reply), "{\"owner\":\"" + std::string(64, 'a') + "\",\"address\":\"localhost:10003\",\"hops\":0}\n");
}

TEST(RingScreen, NamesRelationAndRole) {
  RingShowReply reply;
  reply.set_size_estimate(3);
  reply.set_complete(true);
  const auto add = [&](const char* point, const char* address, const char* role, const char* relation) {
    auto& member = *reply.add_members();
    member.set_point(std::string(point) + std::string(60, '0'));
    member.set_address(address);
    member.set_role(role);
    member.set_relation(relation);
  };
  add("02aa", "127.0.0.1:10007", "node", "self");
  add("7e01", "127.0.0.1:9", "relay", "successor");
  EXPECT_EQ(RingScreen(reply),
            "ring of 3 nodes, points of 2^256\n"
            " 0x02aa…  localhost:10007  this node\n"
            " 0x7e01…  localhost:9      relay  successor\n");
  EXPECT_NE(RingJson(reply).find("\"schema\":1"), std::string::npos);
}

}  // namespace
}  // namespace cli
