/*
 * Sends traffic through pairs of network namespaces, one pair for each firewall to compare, and prints the CPU time
 * each operation took. The pairs are served in turn, a burst of a few milliseconds each, so that whatever else the
 * machine does falls on all of them alike.
 *
 * Everything happens on one core and in this one thread: veth hands a packet to the receiver in softirq, which runs
 * before the sender's system call returns. The thread's CPU time is therefore the whole way of the packet: sender,
 * client's stack, firewall, server's stack. (Not so with CONFIG_IRQ_TIME_ACCOUNTING, which takes softirqs out of it.)
 *
 * usage: generator MODE CPU BURSTS CALLS_PER_BURST CLIENT:SERVER...
 *   MODE            new-flow, many-sources, syn, established, connections or bulk
 *   CLIENT:SERVER   names of network namespaces; the client's device is c0, 198.18.0.1, the server's 198.18.0.2
 * Each burst is so many calls: 32 packets, one connection (a byte each way), or 1 MiB of TCP.
 * One line for each pair: nanoseconds of CPU for one packet, connection or MiB, of every burst in turn.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_PAIRS 64
#define PORT 2000
#define CLIENT_ADDRESS 0xc6120001u /* 198.18.0.1 */
#define SERVER_ADDRESS 0xc6120002u /* 198.18.0.2 */
#define FLOWS_PER_ADDRESS 60000u
#define FORGED_SOURCES 0xc6130000u /* 198.19.0.0/16 */
#define CHUNK 65536
/*
 * Packets in one system call. A network card's poll takes up to 64; one packet a call would charge each of them with
 * saving and restoring the sender's vector registers, which the kernel's set lookups use (kernel_fpu_begin).
 */
#define BATCH 32

struct frame {
  struct ether_header ethernet;
  struct iphdr ip;
  union {
    struct {
      struct udphdr udp;
      char payload[18]; /* 60 bytes in all: the shortest Ethernet frame */
    };
    struct tcphdr tcp;
  };
} __attribute__((packed));

struct pair {
  int client_namespace;
  int server_namespace;
  int packet_socket; /* sends frames out of the client's device */
  int server_socket; /* takes the datagrams, listens, or is the server's end of a connection */
  int client_socket;
  uint32_t flows; /* begun so far */
  double *nanoseconds;
};

static void fail(const char *action) {
  fprintf(stderr, "generator: cannot %s: %s\n", action, strerror(errno));
  exit(1);
}

static int check(int result, const char *action) {
  if (result < 0) fail(action);
  return result;
}

static double cpu_nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return now.tv_sec * 1e9 + now.tv_nsec;
}

static int open_namespace(const char *name) {
  char path[256];
  snprintf(path, sizeof path, "/run/netns/%s", name);
  return check(open(path, O_RDONLY | O_CLOEXEC), path);
}

static void enter(int namespace) { check(setns(namespace, CLONE_NEWNET), "enter a network namespace"); }

static struct sockaddr_in address_of(uint32_t address, uint16_t port) {
  struct sockaddr_in result = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(address)};
  return result;
}

static int open_server_socket(struct pair *pair, int type) {
  struct sockaddr_in address = address_of(SERVER_ADDRESS, PORT);
  int yes = 1;
  enter(pair->server_namespace);
  int result = check(socket(AF_INET, type, 0), "open the server's socket");
  check(setsockopt(result, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes), "set SO_REUSEADDR");
  check(bind(result, (struct sockaddr *)&address, sizeof address), "bind the server's socket");
  return result;
}

/* Of whole 16-bit words (RFC 1071). */
static uint16_t checksum(const void *data, size_t size) {
  uint16_t words[32];
  uint32_t sum = 0;
  memcpy(words, data, size);
  for (size_t i = 0; i < size / 2; i++) sum += words[i];
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum;
}

static struct frame frame_of(uint8_t protocol, uint32_t source) {
  struct frame frame = {.ethernet = {.ether_dhost = {2, 0, 0, 0, 0, 2}, .ether_shost = {2, 0, 0, 0, 0, 1}}};
  struct iphdr ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = protocol};
  frame.ethernet.ether_type = htons(ETHERTYPE_IP);
  ip.tot_len = htons(sizeof frame - sizeof frame.ethernet);
  ip.saddr = htonl(source);
  ip.daddr = htonl(SERVER_ADDRESS);
  ip.check = checksum(&ip, sizeof ip);
  frame.ip = ip;
  return frame;
}

static struct frame frame_from(uint32_t source, uint16_t source_port) {
  struct frame frame = frame_of(IPPROTO_UDP, source);
  frame.udp.source = htons(source_port);
  frame.udp.dest = htons(PORT);
  frame.udp.len = htons(sizeof frame.udp + sizeof frame.payload);
  return frame;
}

/* With a payload of zeros, to fill the frame. */
static struct frame syn_from(uint32_t source, uint16_t source_port) {
  struct frame frame = frame_of(IPPROTO_TCP, source);
  struct {
    uint32_t source, destination;
    uint16_t protocol, length;
    struct tcphdr tcp;
    char payload[6];
  } covered = {htonl(source), htonl(SERVER_ADDRESS), htons(IPPROTO_TCP), htons(26), {.syn = 1, .doff = 5}, {0}};
  covered.tcp.source = htons(source_port);
  covered.tcp.dest = htons(PORT);
  covered.tcp.window = htons(64240);
  covered.tcp.check = checksum(&covered, 38);
  frame.tcp = covered.tcp;
  return frame;
}

static void send_frames(struct pair *pair, struct frame *frames, int count) {
  struct iovec parts[BATCH];
  struct mmsghdr messages[BATCH];
  memset(messages, 0, sizeof messages);
  for (int i = 0; i < count; i++) {
    parts[i] = (struct iovec){.iov_base = &frames[i], .iov_len = sizeof frames[i]};
    messages[i].msg_hdr.msg_iov = &parts[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  if (check(sendmmsg(pair->packet_socket, messages, count, 0), "send frames") != count) fail("send all frames");
}

/* A full buffer drops what nobody reads: the same small cost for every packet. */
static void prepare_datagrams(struct pair *pair) {
  int smallest = 1, yes = 1;
  pair->server_socket = open_server_socket(pair, SOCK_DGRAM);
  check(setsockopt(pair->server_socket, SOL_SOCKET, SO_RCVBUF, &smallest, sizeof smallest), "set SO_RCVBUF");
  enter(pair->client_namespace);
  struct sockaddr_ll device = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex("c0")};
  pair->packet_socket = check(socket(AF_PACKET, SOCK_RAW, 0), "open a packet socket");
  check(setsockopt(pair->packet_socket, SOL_PACKET, PACKET_QDISC_BYPASS, &yes, sizeof yes), "set PACKET_QDISC_BYPASS");
  check(bind(pair->packet_socket, (struct sockaddr *)&device, sizeof device), "bind the packet socket");
}

static void send_new_flows(struct pair *pair) {
  struct frame frames[BATCH];
  for (int i = 0; i < BATCH; i++) {
    uint32_t flow = pair->flows++;
    uint32_t source = CLIENT_ADDRESS + 256 * (1 + flow / FLOWS_PER_ADDRESS);
    frames[i] = frame_from(source, 1024 + flow % FLOWS_PER_ADDRESS);
  }
  send_frames(pair, frames, BATCH);
}

/* Each from another address than the ones before; a multiplier without factors in common visits all of them. */
static uint32_t forged_source(uint32_t flow) { return FORGED_SOURCES | (flow * 40503u & 0xffffu); }

static void send_many_sources(struct pair *pair) {
  struct frame frames[BATCH];
  for (int i = 0; i < BATCH; i++) {
    uint32_t flow = pair->flows++;
    frames[i] = frame_from(forged_source(flow), 1024 + flow % FLOWS_PER_ADDRESS);
  }
  send_frames(pair, frames, BATCH);
}

static void send_syns(struct pair *pair) {
  struct frame frames[BATCH];
  for (int i = 0; i < BATCH; i++) {
    uint32_t flow = pair->flows++;
    frames[i] = syn_from(forged_source(flow), 1024 + flow % FLOWS_PER_ADDRESS);
  }
  send_frames(pair, frames, BATCH);
}

/* An answer makes conntrack call the session established. */
static void prepare_established(struct pair *pair) {
  struct sockaddr_in client = address_of(CLIENT_ADDRESS, 40000);
  struct frame frame = frame_from(CLIENT_ADDRESS, 40000);
  prepare_datagrams(pair);
  send_frames(pair, &frame, 1);
  check(sendto(pair->server_socket, "", 1, 0, (struct sockaddr *)&client, sizeof client), "answer");
}

static void send_established(struct pair *pair) {
  struct frame frames[BATCH];
  for (int i = 0; i < BATCH; i++) frames[i] = frame_from(CLIENT_ADDRESS, 40000);
  send_frames(pair, frames, BATCH);
}

static void prepare_connections(struct pair *pair) {
  pair->server_socket = open_server_socket(pair, SOCK_STREAM);
  check(listen(pair->server_socket, 1024), "listen");
}

static void open_connection(struct pair *pair, int *client, int *server) {
  struct sockaddr_in address = address_of(SERVER_ADDRESS, PORT);
  *client = check(socket(AF_INET, SOCK_STREAM, 0), "open a client's socket");
  check(connect(*client, (struct sockaddr *)&address, sizeof address), "connect");
  *server = check(accept(pair->server_socket, NULL, NULL), "accept");
}

/* One byte each way, then a reset: no TIME-WAIT on either side. */
static void make_connection(struct pair *pair) {
  struct linger reset = {.l_onoff = 1, .l_linger = 0};
  char byte = 0;
  int client, server;
  open_connection(pair, &client, &server);
  if (send(client, &byte, 1, 0) != 1 || recv(server, &byte, 1, 0) != 1) fail("send a byte");
  if (send(server, &byte, 1, 0) != 1 || recv(client, &byte, 1, 0) != 1) fail("answer a byte");
  check(setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), "set SO_LINGER");
  close(client);
  close(server);
}

static void prepare_bulk(struct pair *pair) {
  prepare_connections(pair);
  enter(pair->client_namespace);
  open_connection(pair, &pair->client_socket, &pair->server_socket);
}

/* 1 MiB through the connection. */
static void send_bulk(struct pair *pair) {
  static char buffer[CHUNK];
  for (int chunk = 0; chunk < 16; chunk++) {
    for (size_t sent = 0, received = 0; received < CHUNK;) {
      ssize_t count = sent < CHUNK ? send(pair->client_socket, buffer, CHUNK - sent, MSG_DONTWAIT) : 0;
      if (count > 0) sent += count;
      else if (count < 0 && errno != EAGAIN) fail("send in bulk");
      count = recv(pair->server_socket, buffer, CHUNK, MSG_DONTWAIT);
      if (count > 0) received += count;
      else if (count < 0 && errno != EAGAIN) fail("receive in bulk");
    }
  }
}

struct mode {
  const char *name;
  void (*prepare)(struct pair *);
  void (*operate)(struct pair *);
  int operations; /* in one call of operate */
};

static const struct mode modes[] = {
    {"new-flow", prepare_datagrams, send_new_flows, BATCH},
    {"many-sources", prepare_datagrams, send_many_sources, BATCH},
    {"syn", prepare_datagrams, send_syns, BATCH},
    {"established", prepare_established, send_established, BATCH},
    {"connections", prepare_connections, make_connection, 1},
    {"bulk", prepare_bulk, send_bulk, 1},
};

static const struct mode *find_mode(const char *name) {
  for (unsigned i = 0; i < sizeof modes / sizeof *modes; i++)
    if (strcmp(modes[i].name, name) == 0) return &modes[i];
  errno = EINVAL;
  fail("find the mode");
  return NULL;
}

static void run_on(int cpu) {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(cpu, &cpus);
  check(sched_setaffinity(0, sizeof cpus, &cpus), "run on the core asked for");
}

static void measure_burst(const struct mode *mode, struct pair *pair, int burst, int calls) {
  enter(pair->client_namespace);
  double begun = cpu_nanoseconds();
  for (int i = 0; i < calls; i++) mode->operate(pair);
  pair->nanoseconds[burst] = (cpu_nanoseconds() - begun) / (calls * mode->operations);
}

int main(int argc, char **argv) {
  static struct pair pairs[MAX_PAIRS];
  int count = argc - 5;
  if (count < 1 || count > MAX_PAIRS) {
    fprintf(stderr, "usage: generator MODE CPU BURSTS CALLS_PER_BURST CLIENT:SERVER...\n");
    return 2;
  }
  const struct mode *mode = find_mode(argv[1]);
  int bursts = atoi(argv[3]), calls = atoi(argv[4]);
  run_on(atoi(argv[2]));
  for (int i = 0; i < count; i++) {
    char *name = argv[5 + i], *colon = strchr(name, ':');
    if (colon == NULL) {
      errno = EINVAL;
      fail("read a pair of namespaces");
    }
    *colon = '\0';
    pairs[i].client_namespace = open_namespace(name);
    pairs[i].server_namespace = open_namespace(colon + 1);
    pairs[i].nanoseconds = calloc(bursts, sizeof(double));
    mode->prepare(&pairs[i]);
  }
  for (int burst = 0; burst < bursts; burst++)
    for (int i = 0; i < count; i++) {
      /* There and back: nobody always follows the same neighbour. */
      int turn = (burst + i) % count;
      measure_burst(mode, &pairs[burst % 2 ? count - 1 - turn : turn], burst, calls);
    }
  for (int i = 0; i < count; i++) {
    for (int burst = 0; burst < bursts; burst++) printf("%.0f ", pairs[i].nanoseconds[burst]);
    printf("\n");
  }
  return 0;
}
