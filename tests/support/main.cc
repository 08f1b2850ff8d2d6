// SPDX-License-Identifier: Apache-2.0
// The main of every test program: cryptography initialised, gRPC's own log silent.
#include <gtest/gtest.h>

#include <cstdlib>

#include "keys/system_rng.h"

int main(int argc, char** argv) {
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);
  keys::InitCrypto();
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
