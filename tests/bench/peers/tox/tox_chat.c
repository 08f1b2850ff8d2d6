// SPDX-License-Identifier: Apache-2.0
// tox_chat MESSAGES: two toxcore clients and a DHT node, each a process on loopback, in the loop that toxcore asks for
// (tox_iterate, then tox_iteration_interval). Messages of 64 bytes leave at random moments, one every 0.2 to 0.6 s, so that they
// meet the loop anywhere. Prints the milliseconds from each tox_friend_send_message to the other client's callback, a line each.
// Run it in a network namespace of its own: the ports are fixed.
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <tox/tox.h>
#include <unistd.h>

enum { kMessagesMax = 10000, kBody = 64, kPortNode = 33445, kPortA = 34001, kPortB = 34002 };

// What the three processes share.
struct Shared {
  atomic_int node_ready, reader_ready, reader_sees_friend;
  uint8_t node_key[TOX_PUBLIC_KEY_SIZE], reader_address[TOX_ADDRESS_SIZE];
  double sent[kMessagesMax], heard[kMessagesMax];
};
static struct Shared* shared;

static double Now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}
static void Turn(Tox* tox) {
  tox_iterate(tox, NULL);
  usleep(tox_iteration_interval(tox) * 1000);
}
static Tox* Make(int port) {
  struct Tox_Options* options = tox_options_new(NULL);
  tox_options_set_ipv6_enabled(options, false);
  tox_options_set_local_discovery_enabled(options, false);
  tox_options_set_start_port(options, (uint16_t)port);
  tox_options_set_end_port(options, (uint16_t)port);
  Tox* tox = tox_new(options, NULL);
  if (tox == NULL) exit(1);
  tox_options_free(options);
  return tox;
}
static void Join(Tox* tox) { tox_bootstrap(tox, "127.0.0.1", kPortNode, shared->node_key, NULL); }
static pid_t Start(void (*run)(void)) {
  const pid_t child = fork();
  if (child != 0) return child;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  run();
  _exit(0);
}

static void RunNode(void) {
  Tox* tox = Make(kPortNode);
  tox_self_get_dht_id(tox, shared->node_key);
  shared->node_ready = 1;
  for (;;) Turn(tox);
}

static void OnRequest(Tox* tox, const uint8_t* key, const uint8_t* text, size_t size, void* user) {
  (void)text, (void)size, (void)user;
  tox_friend_add_norequest(tox, key, NULL);
}
static void OnReaderFriend(Tox* tox, uint32_t friend_number, Tox_Connection connection, void* user) {
  (void)tox, (void)friend_number, (void)user;
  shared->reader_sees_friend = connection != TOX_CONNECTION_NONE;
}
static void OnMessage(Tox* tox, uint32_t friend_number, Tox_Message_Type type, const uint8_t* text, size_t size, void* user) {
  (void)tox, (void)friend_number, (void)type, (void)user;
  uint32_t number = 0;
  if (size < sizeof number) return;
  memcpy(&number, text + 4, sizeof number);
  if (number < kMessagesMax) shared->heard[number] = Now();
}
static void RunReader(void) {
  Tox* tox = Make(kPortB);
  tox_self_get_address(tox, shared->reader_address);
  Join(tox);
  tox_callback_friend_request(tox, OnRequest);
  tox_callback_friend_connection_status(tox, OnReaderFriend);
  tox_callback_friend_message(tox, OnMessage);
  shared->reader_ready = 1;
  for (;;) Turn(tox);
}

static int sees_friend;
static void OnFriend(Tox* tox, uint32_t friend_number, Tox_Connection connection, void* user) {
  (void)tox, (void)friend_number, (void)user;
  sees_friend = connection != TOX_CONNECTION_NONE;
}

int main(int count, char** arguments) {
  const int messages = count == 2 ? atoi(arguments[1]) : 0;
  if (messages < 1 || messages > kMessagesMax) return 2;
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return 1;
  Start(RunNode);
  while (!shared->node_ready) usleep(1000);
  Start(RunReader);
  while (!shared->reader_ready) usleep(1000);
  Tox* tox = Make(kPortA);
  Join(tox);
  tox_callback_friend_connection_status(tox, OnFriend);
  tox_friend_add(tox, shared->reader_address, (const uint8_t*)"hello", 5, NULL);
  const double patience = Now() + 60;
  while ((!sees_friend || !shared->reader_sees_friend) && Now() < patience) Turn(tox);
  if (!sees_friend) return 1;
  for (double end = Now() + 2; Now() < end;) Turn(tox);
  // A person presses Enter while the loop sleeps: the message is given to toxcore at once, its next turn sends it.
  uint32_t random = 1;
  double next = Now();
  for (int number = 0; number < messages;) {
    const double wait = next - Now(), interval = tox_iteration_interval(tox) / 1e3;
    if (wait > interval) {
      Turn(tox);
      continue;
    }
    const double slept = wait > 0 ? wait : 0;
    usleep((useconds_t)(slept * 1e6));
    uint8_t text[kBody];
    memset(text, 'x', sizeof text);
    const uint32_t id = (uint32_t)number;
    memcpy(text + 4, &id, sizeof id);
    shared->sent[number] = Now();
    if (tox_friend_send_message(tox, 0, TOX_MESSAGE_TYPE_NORMAL, text, sizeof text, NULL) != UINT32_MAX) ++number;
    usleep((useconds_t)((interval - slept > 0 ? interval - slept : 0) * 1e6));
    tox_iterate(tox, NULL);
    random = random * 1664525u + 1013904223u;  // Numerical Recipes' generator
    next = Now() + 0.2 + 0.4 * random / UINT32_MAX;
  }
  for (double end = Now() + 2; Now() < end;) Turn(tox);
  for (int number = 0; number < messages; ++number) {
    if (shared->heard[number] > 0) printf("%.3f\n", (shared->heard[number] - shared->sent[number]) * 1e3);
  }
  return 0;
}
