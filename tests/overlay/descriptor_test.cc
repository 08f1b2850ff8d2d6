// SPDX-License-Identifier: Apache-2.0
#include "overlay/descriptor.h"

#include <gtest/gtest.h>

#include "overlay/directory.h"
#include "tests/support/seeded_rng.h"
#include "tests/support/status_matchers.h"

namespace overlay {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'795'000'000);

class DescriptorTest : public testing::Test {
 protected:
  Descriptor Make(absl::Time when = kNow, std::string address = "127.0.0.1:10001") {
    return SignDescriptor(network_, key_, rng_.Array<32>(), Role::kStoring, std::move(address), {}, when);
  }

  support::SeededRng rng_{7};
  Network network_ = Network::Local();
  keys::SigningKey key_ = keys::SigningKey::Generate(rng_);
};

TEST_F(DescriptorTest, ComesBackAsItWasSigned) {
  const Descriptor made = Make();
  ASSERT_LE(made.encoded.size(), kDescriptorMax);
  ASSERT_OK_AND_ASSIGN(const Descriptor read, DecodeDescriptor(network_, made.encoded, kNow));
  EXPECT_EQ(read.node_key, made.node_key);
  EXPECT_EQ(read.onion_key, made.onion_key);
  EXPECT_EQ(read.address, "127.0.0.1:10001");
  EXPECT_EQ(read.expires - read.issued, network_.descriptor_lifetime);
  EXPECT_EQ(read.ToPeer(network_).point, PointOf(network_, key_.public_key(), {}, 0));
}

TEST_F(DescriptorTest, IsRefusedWithAnyBitFlipped) {
  const Descriptor made = Make();
  for (size_t bit = 0; bit < made.encoded.size() * 8; ++bit) {
    base::Bytes flipped = made.encoded;
    flipped[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    EXPECT_FALSE(DecodeDescriptor(network_, flipped, kNow).ok()) << "bit " << bit;
  }
}

TEST_F(DescriptorTest, IsRefusedAtEveryWrongLength) {
  base::Bytes bytes = Make().encoded;
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(DecodeDescriptor(network_, base::ByteView(bytes).first(size), kNow).ok());
  }
  bytes.resize(kDescriptorMax + 1);
  EXPECT_STATUS(DecodeDescriptor(network_, bytes, kNow), kInvalidArgument);
}

TEST_F(DescriptorTest, LivesAsLongAsItSaysAndToleratesAnHour) {
  const Descriptor made = Make();
  EXPECT_OK(DecodeDescriptor(network_, made.encoded, made.expires + absl::Minutes(59)));
  EXPECT_STATUS(DecodeDescriptor(network_, made.encoded, made.expires + absl::Minutes(61)), kUnavailable);
  EXPECT_OK(DecodeDescriptor(network_, made.encoded, kNow - absl::Minutes(59)));
  EXPECT_STATUS(DecodeDescriptor(network_, made.encoded, kNow - absl::Minutes(61)), kInvalidArgument);
}

TEST_F(DescriptorTest, OfAnotherNetworkSaysSo) {
  Network other = network_;
  other.name = "elsewhere";
  const auto refused = DecodeDescriptor(other, Make().encoded, kNow);
  EXPECT_STATUS(refused, kFailedPrecondition);
  EXPECT_NE(refused.status().message().find("belongs to the network \"local\""), absl::string_view::npos);
}

TEST_F(DescriptorTest, PrivateAddressesAreForNetworksThatAllowThem) {
  Network open = network_;
  open.private_addresses = false;
  for (const char* address :
       {"127.0.0.1:1", "10.1.2.3:1", "172.16.0.1:1", "172.31.9.9:1", "192.168.1.1:1", "169.254.1.1:1", "100.64.0.1:1", "0.0.0.0:1",
        "224.0.0.1:1", "255.255.255.255:1", "[::1]:1", "[::]:1", "[fc00::1]:1", "[fe80::1]:1", "[::ffff:127.0.0.1]:1",
        "[2002:7f00:1::]:1", "[64:ff9b::7f00:1]:1", "[2001:db8::1]:1"}) {
    EXPECT_OK(CheckAddress(network_, address)) << address;
    EXPECT_STATUS(CheckAddress(open, address), kInvalidArgument) << address;
  }
  for (const char* address : {"8.8.8.8:1", "172.32.0.1:65535", "[2600::1]:443"}) EXPECT_OK(CheckAddress(open, address)) << address;
}

TEST_F(DescriptorTest, AddressesAreLiteralsWithAPort) {
  for (const char* address : {"", ":1", "localhost:1", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:01",
                              "127.1:1", "2130706433:1", "0x7f000001:1", "::1:1", "[::1]", "[127.0.0.1]:1", "127.0.0.1:1 ",
                              "example.org:80", "127.0.0.1:-1", "[::1%lo]:1"}) {
    EXPECT_STATUS(CheckAddress(network_, address), kInvalidArgument) << address;
  }
  // A literal is read up to the first zero byte; what stands behind it would reach screens and JSON.
  for (const std::string& hidden : {std::string("127.0.0.1\0\x1b[2J:80", 17), std::string("127.0.0.1\0:80", 13)}) {
    EXPECT_STATUS(CheckAddress(network_, hidden), kInvalidArgument);
  }
}

TEST_F(DescriptorTest, DirectoryKeepsTheNewestAndForgetsTheExpired) {
  Directory directory(network_);
  const Descriptor older = Make(), newer = Make(kNow + absl::Minutes(5), "127.0.0.1:2");
  EXPECT_OK(directory.Add(newer.encoded, kNow));
  ASSERT_OK_AND_ASSIGN(const Descriptor held, directory.Add(older.encoded, kNow));
  EXPECT_EQ(held.address, "127.0.0.1:2");
  EXPECT_EQ(directory.size(), 1u);
  EXPECT_NE(directory.Find(key_.public_key(), kNow), nullptr);
  EXPECT_EQ(directory.Find(key_.public_key(), newer.expires), nullptr);
}

TEST_F(DescriptorTest, DirectoryTakesOfAKeyOnlyWhatIsThatKeys) {
  Directory directory(network_);
  const Descriptor first = Make(), newer = Make(kNow + absl::Minutes(5), "127.0.0.1:2");
  const keys::PublicKey other = keys::SigningKey::Generate(rng_).public_key();
  EXPECT_STATUS(directory.AddOf(other, first.encoded, kNow), kUnauthenticated);
  EXPECT_EQ(directory.size(), 0u);
  for (const Descriptor* shown : {&first, &first, &newer}) {
    ASSERT_OK_AND_ASSIGN(const Descriptor held, directory.AddOf(key_.public_key(), shown->encoded, kNow));
    EXPECT_EQ(held.encoded, shown->encoded);
  }
  base::Bytes forged = newer.encoded;
  forged.back() ^= 1;
  EXPECT_FALSE(directory.AddOf(key_.public_key(), forged, kNow).ok());
  EXPECT_FALSE(directory.AddOf(key_.public_key(), {}, kNow).ok());
}

TEST_F(DescriptorTest, DirectoryKnowsTheBytesThatItHasVerified) {
  Directory directory(network_);
  const Descriptor held = Make(), other = Make(kNow, "127.0.0.1:2");
  EXPECT_EQ(directory.FindEncoded(held.encoded, kNow), nullptr);
  EXPECT_EQ(directory.Keep(held).address, held.address);
  ASSERT_NE(directory.FindEncoded(held.encoded, kNow), nullptr);
  EXPECT_EQ(directory.FindEncoded(held.encoded, kNow)->address, held.address);
  EXPECT_EQ(directory.FindEncoded(held.encoded, held.expires), nullptr);
  EXPECT_EQ(directory.FindEncoded(other.encoded, kNow), nullptr);  // the same node's, never verified
  for (size_t i = 0; i < held.encoded.size(); ++i) {
    base::Bytes changed = held.encoded;
    changed[i] ^= 1;
    EXPECT_EQ(directory.FindEncoded(changed, kNow), nullptr) << i;
    EXPECT_EQ(directory.FindEncoded(base::ByteView(held.encoded).first(i), kNow), nullptr) << i;
  }
}

TEST_F(DescriptorTest, DirectoryKeepsTheProtectedThroughAFloodOfStrangers) {
  constexpr size_t kCapacity = 8;
  Directory directory(network_, kCapacity);
  EXPECT_OK(directory.Add(Make().encoded, kNow));
  directory.Protect({key_.public_key()});
  keys::PublicKey last;
  for (size_t i = 0; i < 3 * kCapacity; ++i) {
    const keys::SigningKey stranger = keys::SigningKey::Generate(rng_);
    const absl::Time later = kNow + absl::Seconds(1 + i);
    const Descriptor shown = SignDescriptor(network_, stranger, rng_.Array<32>(), Role::kStoring, "127.0.0.1:1", {}, later);
    EXPECT_OK(directory.Add(shown.encoded, later));
    last = stranger.public_key();
    EXPECT_LE(directory.size(), kCapacity);
  }
  EXPECT_NE(directory.Find(key_.public_key(), kNow), nullptr);
  EXPECT_NE(directory.Find(last, kNow), nullptr);
}

TEST_F(DescriptorTest, AdmissionIsRefusedWhereNoneIsAsked) {
  const Descriptor bought = SignDescriptor(network_, key_, rng_.Array<32>(), Role::kStoring, "127.0.0.1:1", {1, 2, 3}, kNow);
  EXPECT_STATUS(DecodeDescriptor(network_, bought.encoded, kNow), kInvalidArgument);
  EXPECT_STATUS(DecodePeer(network_, base::ByteView(EncodePeer(bought.ToPeer(network_)))), kInvalidArgument);
}

TEST_F(DescriptorTest, PeersTravelWithoutTheirPoint) {
  const Peer peer = Make().ToPeer(network_);
  ASSERT_OK_AND_ASSIGN(const Peer read, DecodePeer(network_, base::ByteView(EncodePeer(peer))));
  EXPECT_EQ(read.point, peer.point);
  base::Bytes beyond = EncodePeer(peer);
  beyond[32] = static_cast<uint8_t>(network_.virtual_nodes);
  EXPECT_STATUS(DecodePeer(network_, base::ByteView(beyond)), kInvalidArgument);
  base::Bytes longer = EncodePeer(peer);
  longer.push_back(0);
  EXPECT_STATUS(DecodePeer(network_, base::ByteView(longer)), kInvalidArgument);
}

}  // namespace
}  // namespace overlay
