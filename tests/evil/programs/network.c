/* Ways out through sockets. */
#include "evil.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <mqueue.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/un.h>

static void families(void) {
  static const struct {
    const char *name;
    int family, type, protocol;
  } sockets[] = {
      {"raw", AF_INET, SOCK_RAW, 1},           {"raw6", AF_INET6, SOCK_RAW, 58},    {"ping", AF_INET, SOCK_DGRAM, 1},
      {"packet", AF_PACKET, SOCK_RAW, 0},      {"packet.old", AF_INET, SOCK_PACKET, 0},
      {"netlink.route", AF_NETLINK, SOCK_RAW, 0}, {"netlink.audit", AF_NETLINK, SOCK_RAW, 9},
      {"netlink.kobject", AF_NETLINK, SOCK_RAW, 15}, {"netlink.netfilter", AF_NETLINK, SOCK_RAW, 12},
      {"vsock", AF_VSOCK, SOCK_STREAM, 0},     {"alg", AF_ALG, SOCK_SEQPACKET, 0},  {"key", AF_KEY, SOCK_RAW, 2},
      {"bluetooth", AF_BLUETOOTH, SOCK_RAW, 1}, {"can", AF_CAN, SOCK_RAW, 1},       {"tipc", AF_TIPC, SOCK_STREAM, 0},
      {"xdp", AF_XDP, SOCK_RAW, 0},            {"rds", AF_RDS, SOCK_SEQPACKET, 0},  {"x25", AF_X25, SOCK_SEQPACKET, 0},
      {"ax25", AF_AX25, SOCK_DGRAM, 0},        {"pppox", AF_PPPOX, SOCK_DGRAM, 0},  {"qrtr", 42, SOCK_DGRAM, 0},
      {"smc", 43, SOCK_STREAM, 0},             {"kcm", AF_KCM, SOCK_DGRAM, 0},      {"nfc", AF_NFC, SOCK_RAW, 0},
      {"appletalk", AF_APPLETALK, SOCK_DGRAM, 0},
  };
  for (size_t i = 0; i < sizeof sockets / sizeof *sockets; i++)
    TRY_APART(sockets[i].name, socket(sockets[i].family, sockets[i].type, sockets[i].protocol));
  int pair[2];
  TRY("unix", socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
}

/* Connects and waits a little for an answer: a packet that is dropped is refused as well. */
static void reach(const char *probe, int type, const struct sockaddr *address, socklen_t length) {
  int own = socket(address->sa_family, type | SOCK_NONBLOCK, 0);
  if (own < 0) {
    tried(probe, -1);
    return;
  }
  if (connect(own, address, length) != 0 && errno != EINPROGRESS) {
    tried(probe, -1);
    close(own);
    return;
  }
  /* A question for the address of "a.", for those that are asked for names. */
  static const char question[] = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01" "a\x00\x00\x01\x00\x01";
  if (type == SOCK_DGRAM && send(own, question, sizeof question - 1, MSG_NOSIGNAL) < 0) {
    tried(probe, -1);
    close(own);
    return;
  }
  struct pollfd wait = {own, type == SOCK_DGRAM ? POLLIN : POLLOUT, 0};
  int found = poll(&wait, 1, 300);
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(own, SOL_SOCKET, SO_ERROR, &error, &size);
  said(probe, "%s", error != 0 ? error_name(error) : found == 0 ? "SILENCE" : "OK");
  close(own);
}

static void reach4(const char *probe, int type, const char *host, int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  inet_pton(AF_INET, host, &address.sin_addr);
  reach(probe, type, (struct sockaddr *)&address, sizeof address);
}

static void reach_unix(const char *probe, const char *name, bool abstract, int type) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  size_t length = strlen(name);
  memcpy(address.sun_path + abstract, name, length);
  reach(probe, type, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + abstract));
}

/* The host's listeners, which the test opened for this, and the world. */
static void connections(void) {
  int port = atoi(fact("PORT"));
  reach4("loopback", SOCK_STREAM, "127.0.0.1", port);
  reach4("loopback.other", SOCK_STREAM, "127.0.0.53", port);
  reach4("any", SOCK_STREAM, "0.0.0.0", port);
  reach4("control", SOCK_STREAM, "127.0.0.1", atoi(fact("CONTROL_PORT")));
  struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  reach("loopback6", SOCK_STREAM, (struct sockaddr *)&six, sizeof six);
  if (*fact("HOST_IP") != '\0') reach4("host", SOCK_STREAM, fact("HOST_IP"), port);
  reach_unix("abstract", fact("ABSTRACT"), true, SOCK_STREAM);
  reach_unix("path", fact("SOCKET"), false, SOCK_STREAM);
}

/* Addresses of the world; those kept for documentation, where one is enough. */
static void connections_world(void) {
  reach4("metadata", SOCK_STREAM, "169.254.169.254", 80);
  reach4("world", SOCK_STREAM, "192.0.2.1", 80);
  reach4("dns", SOCK_DGRAM, "127.0.0.53", 53);
  reach4("dns.world", SOCK_DGRAM, "192.0.2.53", 53);
  reach4("broadcast", SOCK_DGRAM, "255.255.255.255", 67);
  reach4("multicast", SOCK_DGRAM, "224.0.0.251", 5353);
  reach_unix("dbus", "/run/dbus/system_bus_socket", false, SOCK_STREAM);
  reach_unix("docker", "/var/run/docker.sock", false, SOCK_STREAM);
  reach_unix("log", "/dev/log", false, SOCK_DGRAM);
}

static void interfaces(void) {
  char names[1024] = "";
  FILE *file = fopen("/proc/self/net/dev", "r");
  char line[512];
  for (int number = 0; file != NULL && fgets(line, sizeof line, file) != NULL; number++) {
    if (number < 2) continue;
    char name[64] = "";
    sscanf(line, " %63[^:]", name);
    strcat(strcat(names, *names == '\0' ? "" : ","), name);
  }
  said("names", "%s", *names == '\0' ? "NONE" : names);
  int own = socket(AF_INET, SOCK_DGRAM, 0);
  struct ifreq up = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
  TRY("up", ioctl(own, SIOCSIFFLAGS, &up));
  struct sockaddr_in low = {.sin_family = AF_INET, .sin_port = htons(22)};
  TRY("bind.22", bind(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&low, sizeof low));
}

/* Objects with names of System V and POSIX, which the test made on the host under KEY. */
static void shared_objects(void) {
  key_t key = (key_t)strtol(fact("KEY"), NULL, 0);
  TRY("shm", shmget(key, 1, 0));
  TRY("sem", semget(key, 1, 0));
  TRY("msg", msgget(key, 0));
  for (int id = 0, found = 0;; id++) {
    if (id == 4096) {
      said("shm.any", "%s", found == 0 ? "NONE" : "SOME");
      break;
    }
    struct shmid_ds info;
    if (shmctl(id, SHM_STAT, &info) >= 0 || shmctl(id, 15 /* SHM_STAT_ANY */, &info) >= 0) found++;
  }
  TRY("mqueue", mq_open("/evil", O_RDONLY));
}

const struct attack network_attacks[] = {
    {"families", families, true},
    {"connections", connections, true},
    {"connections_world", connections_world, false},
    {"interfaces", interfaces, false},
    {"shared_objects", shared_objects, true},
    {NULL, NULL, false},
};
