// SPDX-License-Identifier: Apache-2.0
// overlay/grpc_client.h — questions to other nodes over mutual TLS, and to one's own node over its control socket.
//
// Channels are kept per (address, pinned key), at most kChannelsMax, and dropped when unused for kChannelIdle. Every call has a
// deadline and fails at once if nobody can be reached; what to do then is the caller's business. To "unix:PATH" the call goes in
// clear and RpcAnswer.server_key is zero.
// Failures: Unavailable (nobody there, or not the pinned key), DeadlineExceeded, ResourceExhausted (too much at once, message too
// large), and whatever code the server answered, without text.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/container/flat_hash_set.h"
#include "base/rng.h"
#include "keys/certificate.h"
#include "overlay/grpc_event_loop.h"
#include "overlay/rpc.h"

namespace overlay {

inline constexpr size_t kChannelsMax = 256;  // about 170 KiB each with its TLS connection
inline constexpr size_t kClientCallsMax = 4096;
inline constexpr absl::Duration kChannelIdle = absl::Seconds(60);

class GrpcClient final : public RpcClient, public GrpcLoopUser {
 public:
  struct Options {
    std::optional<keys::TlsIdentity>
        identity;  // a node's own; nothing: a client, which shows every target a fresh key, never kept
  };

  GrpcClient(GrpcEventLoop& loop, base::Rng& rng, Options options);
  ~GrpcClient() override;

  void Call(const RpcTarget& to, std::string_view method, std::string request, absl::Duration timeout,
            std::function<void(absl::StatusOr<RpcAnswer>)> done) override;
  std::unique_ptr<RpcSubscription> Subscribe(const RpcTarget& to, std::string_view method, std::string request,
                                             std::function<void(const std::string&)> on_message,
                                             std::function<void(absl::Status)> on_end) override;

  size_t channels() const { return channels_.size(); }
  void OnShutdown() override;

 private:
  class OpenCall;
  class UnaryCall;
  class StreamCall;
  using ChannelKey = std::pair<std::string, std::optional<keys::PublicKey>>;
  struct Channel {
    std::shared_ptr<grpc::Channel> channel;
    int calls = 0;  // under way
    absl::Time last_used;
  };

  // A channel for this call, with room for it.
  absl::StatusOr<std::shared_ptr<Channel>> ChannelFor(const RpcTarget& to, const std::string& request);
  absl::Status CheckCall(const std::string& request) const;
  std::shared_ptr<Channel> ChannelTo(const RpcTarget& to);
  bool MakeRoom();
  void DropIdle();

  GrpcEventLoop& loop_;
  base::Rng& rng_;
  const Options options_;
  std::map<ChannelKey, std::shared_ptr<Channel>> channels_;
  absl::flat_hash_set<OpenCall*> calls_;
  base::Timer idle_timer_;
  bool stopping_ = false;
};

}  // namespace overlay
