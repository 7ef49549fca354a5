/* crowd_p99: 10,000 connections to one server, a hundredth of them at a time badly behaved, and what the good ones notice.
 *
 *     crowd_client crowd_p99 pairs impl=command...      pairs 0: as many as usual
 *
 * Starts `command crowd_p99` for one implementation after the other (a server, see crowd.h), and measures PAIRS times a calm slice
 * and one with bad peers, so that a slow moment of the machine hits both. Prints `impl name value unit`:
 * - crowd_p99: p99 of the good peers' round trips among bad ones, divided by that of the calm slice before; the median pair.
 * - crowd_p99_calm, crowd_p99_bad; crowd_p99_calm_p50, crowd_p99_bad_p50, which are medians: us, the middle slice.
 * - crowd_p99_rate: rounds a second that were made, of RATE: less says that the load could not keep up, not the server.
 * - crowd_p99_ended: connections made, each of whose ends the server was told exactly once; crowd_p99_streams: those among them that
 *   it wrote to until their end; crowd_p99_alive: what is left in the server. If an end is missing, or is told twice or with
 *   another reason than it had, or if something is left alive, the row fails, and the counts say what it was.
 *
 * The good ones: SAMPLE connections by turns send a request of 64 bytes, RATE in a second at even distances, whether the others are
 * answered or not, and compare the answer. A round begins when it is sent, and ends when its last byte is in the receiver's
 * buffer, as the kernel's own timestamp says: what else the load does meanwhile - connecting, resetting - is not in it.
 *
 * The bad ones: BAD at a time among the rest, each for SPELL, one after the other. They
 * - reset in the midst of a request, or before its answer;
 * - stall: ask for a stream and never read, so that the server writes until it is told to pause; a reset ends it;
 * - half-close behind a request, and must get its answer and then an end;
 * - send garbage, and must get an end.
 * Another connects in the place of each. The last connections end by turns by a close and by resets.
 *
 * RATE: a round costs the load 27 us (a send that wakes the server 21, epoll_wait and recvmsg 6), half of a misdeed and its new
 * connection 50: with 10,000 rounds and 800 halves a second it is busy for a third of its time, and rounds seldom overlap. It has a
 * processor of its own and never sleeps, so that its own waking is not in the figure; the server has the other. */
#include "crowd.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    CROWD = 10000,
    SAMPLE = 1000,
    RATE = 10000,
    BAD_ONE_IN = 100,
    ADDRESSES = 8,              /* a port can be used once from each */
    DESCRIPTORS_SPARE = 64,
    GARBAGE_LENGTH = 4 * KIB,
    PAIRS = 8,
    PAIRS_AT_MOST = 100,
    EVENTS = 64,
    SECONDS_AT_MOST = 60,
};
#define SLICE 0.5e9
#define SPELL 0.25e9            /* also the beginning of a slice, which is not measured: until then there are fewer bad ones */

enum misdeed { NONE, RESET, STALL, HALF_CLOSE, SEND_GARBAGE, MISDEEDS };

static struct peer {
    int fd;                     /* -1 when it is over */
    uint8_t misdeed, have;      /* bytes of the answer */
    uint8_t waits;
    uint32_t number;            /* of its request */
    int64_t sent;               /* when, as realtime_ns */
} peers[CROWD];

static int crowd = CROWD, epoll;
static const char *loaded;
static struct sockaddr_in server;
static struct counts did;       /* what the server must tell */
static int64_t measured_from;
static double *trips;             /* ns */
static int trip_count, outstanding, stamped;

static void tell_whose_fault(void) {
    if (loaded != NULL) fprintf(stderr, "crowd_client: at fault: %s\n", loaded);
}

static void on_alarm(int signal) {
    (void)signal;
    fputs("crowd_client: an answer or an end never came\n", stderr);
    tell_whose_fault();
    _exit(1);
}

/* ---- one connection ---- */

static int64_t ns_of(struct timespec t) { return t.tv_sec * 1000000000 + t.tv_nsec; }

/* The clock of the kernel's timestamps. */
static int64_t realtime_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return ns_of(t);
}

static uint8_t request_byte(uint32_t number, uint32_t place) { return (uint8_t)(LEAST + (number * 31 + place * 7) % LEAST); }

static void send_some(struct peer *peer, size_t len) {
    uint8_t request[MESSAGE];
    for (uint32_t i = 0; i < len; i++) request[i] = request_byte(peer->number, i);
    CHECK(send(peer->fd, request, len, MSG_NOSIGNAL) == (ssize_t)len);
}

static void reset(struct peer *peer) {
    struct linger at_once = {1, 0};
    CHECK(setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
    close(peer->fd);
    peer->fd = -1;
}

static void join(uint32_t which) {
    struct peer *peer = &peers[which];
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + which % ADDRESSES)};
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = which};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    CHECK(setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one) == 0);
    CHECK(bind(fd, (struct sockaddr *)&own, sizeof own) == 0);
    CHECK(connect(fd, (struct sockaddr *)&server, sizeof server) == 0);
    CHECK(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0);
    if (which < SAMPLE) CHECK(setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one) == 0);
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
    *peer = (struct peer){.fd = fd, .number = peer->number + 1 + which};
    did.accepted++;
}

/* Reads what there is: what recv says, and when it arrived. */
static ssize_t receive(struct peer *peer, uint8_t *buffer, size_t len, int64_t *arrived) {
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(struct timespec))];
    } control;
    struct iovec data = {buffer, len};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t got = recvmsg(peer->fd, &message, MSG_DONTWAIT);
    struct cmsghdr *header = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (header != NULL && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_TIMESTAMPNS) {
        struct timespec when;
        memcpy(&when, CMSG_DATA(header), sizeof when);
        *arrived = ns_of(when);
    }
    return got;
}

static void answered(struct peer *peer, int64_t arrived) {
    peer->have = peer->waits = 0;
    peer->number++;
    outstanding--;
    stamped = arrived > 0;
    if (peer->sent < measured_from) return;
    CHECK(stamped);
    trips[trip_count++] = (double)(arrived - peer->sent);
}

/* Something came. */
static void hear(struct peer *peer) {
    uint8_t buffer[MESSAGE];
    int64_t arrived = 0;
    ssize_t len = receive(peer, buffer, sizeof buffer - peer->have, &arrived);
    if (len < 0 && errno == EAGAIN) return;
    if (len > 0) {
        CHECK(peer->misdeed != SEND_GARBAGE && (peer->waits || peer->misdeed == HALF_CLOSE));
        for (uint32_t i = 0; i < len; i++) CHECK(buffer[i] == request_byte(peer->number, peer->have + i));
        peer->have = (uint8_t)(peer->have + len);
        if (peer->have == MESSAGE && peer->misdeed == NONE) answered(peer, arrived);
        return;
    }
    /* A good one has no end. */
    CHECK(peer->misdeed == HALF_CLOSE || peer->misdeed == SEND_GARBAGE);
    if (peer->misdeed == HALF_CLOSE) CHECK(len == 0 && peer->have == MESSAGE);
    close(peer->fd);
    peer->fd = -1;
}

static void hear_all(void) {
    struct epoll_event events[EVENTS];
    int ready = epoll_wait(epoll, events, EVENTS, 0);
    CHECK(ready >= 0);
    for (int i = 0; i < ready; i++) hear(&peers[events[i].data.u32]);
}

static void ask(struct peer *peer) {
    peer->waits = 1;
    outstanding++;
    peer->sent = realtime_ns();
    send_some(peer, MESSAGE);
}

/* ---- the bad ones ---- */

static void misbehave(struct peer *peer, enum misdeed misdeed) {
    static const uint8_t garbage[GARBAGE_LENGTH] = {GARBAGE}, wish = STREAM;
    peer->misdeed = (uint8_t)misdeed;
    switch (misdeed) {
    case RESET:
        send_some(peer, peer->number % 2 ? MESSAGE / 2 : MESSAGE);
        reset(peer);
        did.reset++;
        break;
    case STALL:
        CHECK(epoll_ctl(epoll, EPOLL_CTL_DEL, peer->fd, NULL) == 0);
        CHECK(send(peer->fd, &wish, 1, MSG_NOSIGNAL) == 1);
        did.streams++;
        did.reset++;
        break;
    case HALF_CLOSE:
        send_some(peer, MESSAGE);
        CHECK(shutdown(peer->fd, SHUT_WR) == 0);
        did.done++;
        break;
    default:
        CHECK(send(peer->fd, garbage, sizeof garbage, MSG_NOSIGNAL) == sizeof garbage);
        did.garbage++;
    }
}

/* After its spell: another in its place, or false if it has not got yet what it must. */
static int replace(uint32_t which) {
    struct peer *peer = &peers[which];
    if (peer->misdeed == STALL && peer->fd >= 0) reset(peer);
    if (peer->fd >= 0) return 0;
    join(which);
    return 1;
}

/* ---- the measuring ---- */

static uint32_t next_good, next_bad = SAMPLE, misdeeds;

static uint32_t after_bad(uint32_t which) { return which + 1 < (uint32_t)crowd ? which + 1 : SAMPLE; }

/* The oldest bad one is replaced, and half a step later the next begins: little at a time. */
static int step(uint32_t *oldest, int *bad, int most) {
    if (*bad == most) {
        if (!replace(*oldest)) return 0;
        *oldest = after_bad(*oldest);
        --*bad;
        return 1;
    }
    misbehave(&peers[next_bad], (enum misdeed)(1 + misdeeds++ % (MISDEEDS - 1)));
    next_bad = after_bad(next_bad);
    ++*bad;
    return 1;
}

/* How many rounds were measured; their times are in trips, sorted. */
static int slice(int most) {
    double start = wall_ns(), due = start, step_due = start, between = most > 0 ? SPELL / most / 2 : 0.0;
    uint32_t oldest = next_bad;
    int bad = 0;
    trip_count = 0;
    measured_from = realtime_ns() + (int64_t)SPELL;
    for (double now = start; now < start + SPELL + SLICE; now = wall_ns()) {
        if (now >= due) {
            /* What the load was too late for is not made up for: the rate says so. */
            due = now - due > 1e9 / RATE ? now + 1e9 / RATE : due + 1e9 / RATE;
            if (!peers[next_good].waits) ask(&peers[next_good]);
            next_good = (next_good + 1) % SAMPLE;
        }
        if (most > 0 && now >= step_due && step(&oldest, &bad, most)) step_due = now + between;
        hear_all();
    }
    for (; bad > 0; oldest = after_bad(oldest), bad--)
        while (!replace(oldest)) hear_all();
    while (outstanding > 0) hear_all();
    qsort(trips, (size_t)trip_count, sizeof *trips, compare_doubles);
    CHECK(trip_count > 100);
    return trip_count;
}

static void report_for(const char *name, double value, const char *unit) {
    printf("%s ", loaded);
    report(name, value, unit);
}

static double middle(double *values, int n) {
    qsort(values, (size_t)n, sizeof *values, compare_doubles);
    return (values[(n - 1) / 2] + values[n / 2]) / 2;
}

static void measure(int pairs) {
    double p50[2][PAIRS_AT_MOST], p99[2][PAIRS_AT_MOST], ratio[PAIRS_AT_MOST], rounds = 0.0;
    slice(0);       /* warm */
    for (int i = 0; i < pairs; i++) {
        for (int bad = 0; bad < 2; bad++) {
            int n = slice(bad ? crowd / BAD_ONE_IN : 0);
            p50[bad][i] = trips[n / 2] / 1e3;
            p99[bad][i] = trips[n * 99 / 100] / 1e3;
            rounds += n;
        }
        ratio[i] = p99[1][i] / p99[0][i];
    }
    report_for("crowd_p99", middle(ratio, pairs), "x");
    report_for("crowd_p99_calm", middle(p99[0], pairs), "us");
    report_for("crowd_p99_bad", middle(p99[1], pairs), "us");
    report_for("crowd_p99_calm_p50", middle(p50[0], pairs), "us");
    report_for("crowd_p99_bad_p50", middle(p50[1], pairs), "us");
    report_for("crowd_p99_rate", rounds / (SLICE / 1e9 * 2 * pairs), "/s");
}

/* ---- the server ---- */

static pid_t pid;
static int to_server;
static FILE *from_server;

static void start_server(char *named, const char *workload) {
    char line[4096], *command = strchr(named, '=');
    int in[2], out[2], port;
    CHECK(command != NULL && pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
    *command++ = 0;
    loaded = named;
    CHECK(snprintf(line, sizeof line, "exec %s %s", command, workload) < (int)sizeof line);
    CHECK((pid = fork()) >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        pin_thread(0);
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        execl("/bin/sh", "sh", "-c", line, (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    to_server = in[1];
    CHECK((from_server = fdopen(out[0], "r")) != NULL && fscanf(from_server, "port %d", &port) == 1);
    server = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void make_a_round(struct peer *peer) {
    ask(peer);
    while (outstanding > 0) hear_all();
}

static void join_all(void) {
    for (uint32_t i = 0; i < (uint32_t)crowd; i++) {
        join(i);
        make_a_round(&peers[i]);
    }
    /* The kernel begins to stamp what arrives a while after it was asked to. */
    do make_a_round(&peers[0]);
    while (!stamped);
}

static void leave_all(void) {
    for (int i = 0; i < crowd; i++) {
        if (i % 10 == 0) {
            close(peers[i].fd);
            did.done++;
        } else {
            reset(&peers[i]);
            did.reset++;
        }
    }
}

/* What the server has counted is what was done to it, and nothing else. */
static void compare_counts(void) {
    struct counts told = {0};
    int status;
    close(to_server);
#define READ(count) CHECK(fscanf(from_server, "%ld", &count) == 1);
    COUNTS(READ, told)
#undef READ
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    fclose(from_server);
    did.ended = did.accepted;
    did.stopped = did.streams;
    if (memcmp(&told, &did, sizeof did) != 0) {
        fputs("accepted, ended, twice, unfreed, done, reset, garbage, other, streams, stopped, alive: told", stderr);
#define SHOW(count) fprintf(stderr, " %ld", count);
        COUNTS(SHOW, told)
        fputs("; done", stderr);
        COUNTS(SHOW, did)
#undef SHOW
        fputs("\n", stderr);
        exit(1);
    }
    report_for("crowd_p99_ended", (double)told.ended, "all");
    report_for("crowd_p99_streams", (double)told.streams, "all");
    report_for("crowd_p99_alive", (double)told.alive, "all");
}

int main(int argc, char **argv) {
    struct rlimit files;
    CHECK(argc > 3);
    int pairs = atoi(argv[2]) > 0 ? atoi(argv[2]) : PAIRS;
    CHECK(pairs <= PAIRS_AT_MOST);
    CHECK(getrlimit(RLIMIT_NOFILE, &files) == 0);
    files.rlim_cur = files.rlim_max;
    CHECK(setrlimit(RLIMIT_NOFILE, &files) == 0);
    if (files.rlim_cur < CROWD + DESCRIPTORS_SPARE) crowd = (int)files.rlim_cur - DESCRIPTORS_SPARE;
    CHECK(crowd >= 2 * SAMPLE);
    CHECK(sched_getaffinity(0, sizeof processors, &processors) == 0);
    pin_thread(1);
    signal(SIGALRM, on_alarm);
    CHECK(atexit(tell_whose_fault) == 0);
    trips = allocate((size_t)(RATE * 2 * (SLICE + SPELL) / 1e9) * sizeof *trips);
    for (int i = 3; i < argc; i++) {
        alarm(SECONDS_AT_MOST);
        CHECK((epoll = epoll_create1(EPOLL_CLOEXEC)) >= 0);
        did = (struct counts){0};
        measured_from = INT64_MAX;
        start_server(argv[i], argv[1]);
        join_all();
        measure(pairs);
        leave_all();
        compare_counts();
        close(epoll);
        loaded = NULL;
    }
    return 0;
}
