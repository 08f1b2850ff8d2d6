// SPDX-License-Identifier: Apache-2.0
// What a layer, a cell at its relay, and the three parts of a handshake cost: google-benchmark.
#include <benchmark/benchmark.h>

#include "circuits/relay_circuit.h"
#include "circuits/relay_crypto.h"
#include "keys/system_rng.h"

namespace circuits {
namespace {

using overlay::Cell;
using overlay::CellCommand;

struct Handshake {
  keys::SystemRng rng;
  keys::SigningKey node_key = keys::SigningKey::Generate(rng);
  keys::X25519KeyPair onion_key = keys::X25519KeyPair::Generate(rng);
  keys::ClientStartResult start = *keys::ClientStart({}, node_key.public_key(), onion_key.public_key, rng);
  keys::ServerReplyResult reply = *keys::ServerReply({}, node_key.public_key(), {&onion_key, 1}, start.onion_skin, rng);
};

void Layer(benchmark::State& state) {
  Handshake handshake;
  HopLayer layer(handshake.reply.keys);
  Cell cell(1, CellCommand::kRelay);
  handshake.rng.Fill(cell.body());
  for (auto _ : state) layer.EncryptBackward(CellCommand::kRelay, cell.body());
}
BENCHMARK(Layer);

void OriginThreeLayers(benchmark::State& state) {
  OriginLayers layers;
  Handshake handshake;
  for (int hop = 0; hop < 3; ++hop) layers.AddHop(Handshake().reply.keys);
  Cell cell(1, CellCommand::kRelay);
  handshake.rng.Fill(cell.body());
  for (auto _ : state) layers.EncryptForward(2, CellCommand::kRelay, cell.body());
}
BENCHMARK(OriginThreeLayers);

void ClientStart(benchmark::State& state) {
  Handshake handshake;
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        keys::ClientStart({}, handshake.node_key.public_key(), handshake.onion_key.public_key, handshake.rng));
  }
}
BENCHMARK(ClientStart);

void ServerReply(benchmark::State& state) {
  Handshake handshake;
  for (auto _ : state) {
    benchmark::DoNotOptimize(keys::ServerReply({}, handshake.node_key.public_key(), {&handshake.onion_key, 1},
                                               handshake.start.onion_skin, handshake.rng));
  }
}
BENCHMARK(ServerReply);

void ClientFinish(benchmark::State& state) {
  Handshake handshake;
  for (auto _ : state) benchmark::DoNotOptimize(keys::ClientFinish({}, handshake.start.state, handshake.reply.reply));
}
BENCHMARK(ClientFinish);

}  // namespace
}  // namespace circuits

int main(int argc, char** argv) {
  keys::InitCrypto();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
