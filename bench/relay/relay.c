// The yardstick: a message from a client over a relay to a worker and back, over
// two Unix stream sockets, in three processes that do nothing else. Prints the
// round trips in nanoseconds, one a line.
//
//   relay ROUNDS CLIENT_CPU RELAY_CPU WORKER_CPU      (a CPU of -1: not pinned)
#define _GNU_SOURCE
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MESSAGE_BYTES = 128, WARM_UP = 1000 };

static void fail(const char *what) { perror(what); exit(1); }

static void pin(int cpu) {
    if (cpu < 0) return;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set)) fail("sched_setaffinity");
}

// pass moves one message; false at the end of the stream.
static int pass(int from, int to) {
    char message[MESSAGE_BYTES];
    ssize_t n = read(from, message, sizeof message);
    return n == sizeof message && write(to, message, sizeof message) == sizeof message;
}

static pid_t process(int cpu, void (*body)(int, int), int near, int far) {
    pid_t pid = fork();
    if (pid < 0) fail("fork");
    if (pid) return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pin(cpu);
    body(near, far);
    _exit(0);
}

static void relay(int client, int worker) {
    while (pass(client, worker) && pass(worker, client)) {}
}

static void echo(int near, int far) {
    (void)far;
    while (pass(near, near)) {}
}

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int main(int argc, char **argv) {
    if (argc != 5) { fprintf(stderr, "usage: relay ROUNDS CLIENT_CPU RELAY_CPU WORKER_CPU\n"); return 2; }
    int client[2], worker[2], rounds = atoi(argv[1]);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, client) || socketpair(AF_UNIX, SOCK_STREAM, 0, worker)) fail("socketpair");
    pid_t r = process(atoi(argv[3]), relay, client[1], worker[0]);
    pid_t w = process(atoi(argv[4]), echo, worker[1], -1);
    pin(atoi(argv[2]));
    char message[MESSAGE_BYTES] = {0};
    for (int i = -WARM_UP; i < rounds; i++) {
        int64_t start = now();
        if (write(client[0], message, sizeof message) != sizeof message) fail("write");
        if (read(client[0], message, sizeof message) != sizeof message) fail("read");
        if (i >= 0) printf("%lld\n", (long long)(now() - start));
    }
    kill(r, SIGKILL);
    kill(w, SIGKILL);
    waitpid(r, NULL, 0);
    waitpid(w, NULL, 0);
    return 0;
}
