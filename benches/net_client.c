/* The load of the networking workloads, the same for every server, and the one place where they are measured.
 *
 *     net_client workload operations impl=command...      operations 0: as many as usual
 *
 * Starts `command workload` for each implementation (a server, see net.h), loads them by turns, thirty slices each, so that a slow
 * moment of the machine hits them alike, prints `impl workload value unit` and kills them. The figure is the mean of the middle
 * half of the slices. Every slice begins with a tenth of it that is not measured; `impl operations n all` counts them too.
 * Every byte that comes back is compared, every datagram counted.
 *
 * All processes have one and the same processor: on two, a message costs mostly the waking of an idle processor, which in a
 * virtual machine takes five times as long as all the rest and never the same; what a library adds would drown in it. And all
 * are SCHED_BATCH: who is woken waits until who runs goes to sleep, so that a server finds all that there is for it, as a
 * busy one does, and not what the scheduler's mood let through.
 *
 * All but group, which is about processors and measures wall time: with four or more of them the servers have two, and each other
 * one a thread of this load; with fewer all share what there is.
 *
 * What an operation is and what is reported:
 * - CPU: the process clock of the server, all its threads, user and system, read from here while it sleeps, before and after.
 *   Loopback delivers in the context of the sender, so the server pays for the way of its answers and the client for the
 *   way of the requests.
 * - echo_1x64: 64 bytes there and back on one connection, by blocking calls. Wall time, us: median, and p99; and CPU as _cpu.
 * - echo_64x1k: 64 connections, 1 KiB on its way on each. CPU us a message.
 * - echo_burst: 64 connections; one byte there, 16 messages of 64 bytes back. CPU us a burst.
 * - echo_stream: one connection, at most four blocks of 64 KiB on their way. CPU us a block.
 * - churn: 16 at a time connect, send a byte, wait for it, and reset. CPU us a connection, its end included.
 * - idle: 10,000 connections (or what RLIMIT_NOFILE allows), each of which has had a byte echoed. Growth of the server's
 *   resident set, bytes a connection, from where one connection had been and gone. The kernel's memory is not in it.
 * - udp_echo: datagrams of 64 bytes, at most 64 on their way. CPU ns a datagram.
 * - udp_gso: the same, but sent 64 in a call by UDP_SEGMENT, two such on their way; received by UDP_GRO. CPU ns a datagram.
 * - group: as echo_burst, which costs a server most for the least that it costs us, from several threads with 64 connections
 *   each. Wall us a burst.
 * - websocket_echo: 64 connections, a text of 64 bytes on its way on each, masked there and not back. CPU us a message. */
#include "net.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    CONNECTIONS = 64,
    CHURN_AT_ONCE = 16,
    IDLE_CONNECTIONS = 10000,
    DESCRIPTORS_SPARE = 64,     /* what a server has open beside its connections */
    BLOCKS_AHEAD = 4,
    DATAGRAMS_AHEAD = 64,
    SEGMENTS = 64,              /* the most that every kernel with UDP_SEGMENT takes */
    BATCHES_AHEAD = 2,          /* a socket's usual buffer holds them even when each datagram is an skb of its own */
    SERVERS = 16,
    GROUP_PROCESSORS = 2,       /* for the servers, if as many are left */
    GROUP_THREADS = 16,         /* of the load at most */
    GROUP_BURSTS = 60000,
    SLICES = 30,
    SECONDS_AT_MOST = 60,
};

static struct server {
    const char *impl;
    pid_t pid;
    clockid_t clock;
    struct sockaddr_in address;
    int fds[CONNECTIONS], epoll;
    double cpu[SLICES], median[SLICES], p99[SLICES];        /* of each slice; the last two of echo_1x64 */
} servers[SERVERS];

static int server_count;
static struct server *loaded;       /* whose answer is waited for */

/* ---- the servers ---- */

static void tell_whose_fault(void) {
    if (loaded != NULL) fprintf(stderr, "net_client: at fault: %s\n", loaded->impl);
}

static void on_alarm(int signal) {
    (void)signal;
    fputs("net_client: an answer never came\n", stderr);       /* nobody else is writing: we sit in a system call */
    tell_whose_fault();
    _exit(1);
}

/* `impl=command`, the command as for a shell. */
static void start_server(struct server *server, char *named, const char *workload) {
    char line[4096], *command = strchr(named, '=');
    int out[2], port;
    CHECK(command != NULL && pipe2(out, O_CLOEXEC) == 0);
    *command++ = 0;
    server->impl = named;
    CHECK(snprintf(line, sizeof line, "exec %s %s", command, workload) < (int)sizeof line);
    CHECK((server->pid = fork()) >= 0);
    if (server->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);       /* whatever becomes of us, it is not left behind */
        dup2(out[1], STDOUT_FILENO);
        execl("/bin/sh", "sh", "-c", line, (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    FILE *said = fdopen(out[0], "r");
    CHECK(said != NULL && fscanf(said, "port %d", &port) == 1);
    server->address = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK(clock_getcpuclockid(server->pid, &server->clock) == 0);
}

/* The clock of a process that runs is only as good as its last tick; of one that sleeps it is exact. */
static void let_it_fall_asleep(void) { usleep(300); }

static double server_cpu_ns(const struct server *server) {
    let_it_fall_asleep();
    return clock_ns(server->clock);
}

static double server_resident_bytes(const struct server *server) {
    char path[64];
    long total, resident;
    let_it_fall_asleep();
    snprintf(path, sizeof path, "/proc/%d/statm", server->pid);
    FILE *file = fopen(path, "r");
    CHECK(file != NULL && fscanf(file, "%ld %ld", &total, &resident) == 2);
    fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

/* ---- connections ---- */

static int connect_to(const struct server *server, int type) {
    int one = 1, fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    CHECK(connect(fd, (const struct sockaddr *)&server->address, sizeof server->address) == 0);
    if (type == SOCK_STREAM) CHECK(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0);
    return fd;
}

/* No TIME_WAIT stays behind, so any number of connections can follow. */
static void reset(int fd) {
    struct linger at_once = {1, 0};
    CHECK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
    close(fd);
}

static void send_all(int fd, const void *data, size_t len) { CHECK(send(fd, data, len, MSG_NOSIGNAL) == (ssize_t)len); }

static void receive_same(int fd, const void *data, size_t len) {
    CHECK(recv(fd, received, len, MSG_WAITALL) == (ssize_t)len);
    CHECK(memcmp(received, data, len) == 0);
}

static uint8_t block[BLOCK];    /* what is sent: random */

/* ---- the workloads: how a server is made ready, and so many operations on it ---- */

static double *round_trips;

static void open_one(struct server *server) { server->fds[0] = connect_to(server, SOCK_STREAM); }

static void echo_1x64(struct server *server, int n) {
    int fd = server->fds[0];
    for (int i = 0; i < n; i++) {
        double t = wall_ns();
        send_all(fd, block + (i & 1023), MESSAGE);
        receive_same(fd, block + (i & 1023), MESSAGE);
        round_trips[i] = wall_ns() - t;
    }
}

static void open_many(struct server *server) {
    CHECK((server->epoll = epoll_create1(EPOLL_CLOEXEC)) >= 0);
    for (uint32_t i = 0; i < CONNECTIONS; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        server->fds[i] = connect_to(server, SOCK_STREAM);
        CHECK(epoll_ctl(server->epoll, EPOLL_CTL_ADD, server->fds[i], &event) == 0);
    }
}

/* On each connection a request and the wait for the answer to it, n of them together. */
static void exchange(const struct server *server, const uint8_t *request, size_t request_len, const uint8_t *answer,
                     size_t answer_len, int n) {
    static _Thread_local uint8_t got[CONNECTIONS][KIB];
    size_t have[CONNECTIONS] = {0};
    int sent = 0, answered = 0;
    for (int i = 0; i < CONNECTIONS && sent < n; i++, sent++) send_all(server->fds[i], request, request_len);
    while (answered < n) {
        struct epoll_event events[CONNECTIONS];
        int ready = epoll_wait(server->epoll, events, CONNECTIONS, -1);
        for (int e = 0; e < ready; e++) {
            uint32_t i = events[e].data.u32;
            ssize_t len = recv(server->fds[i], got[i] + have[i], answer_len - have[i], 0);
            CHECK(len > 0);
            if ((have[i] += (size_t)len) < answer_len) continue;
            CHECK(memcmp(got[i], answer, answer_len) == 0);
            have[i] = 0;
            answered++;
            if (sent < n) send_all(server->fds[i], request, request_len), sent++;
        }
    }
}

static void echo_64x1k(struct server *server, int n) { exchange(server, block, KIB, block, KIB, n); }
static void echo_burst(struct server *server, int n) { exchange(server, block, 1, burst[0], sizeof burst, n); }

/* The request that is the example of RFC 6455, section 1.3; only that the answer is 101 is checked, and where it ends. */
static void open_websockets(struct server *server) {
    static const char request[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    open_many(server);
    for (int i = 0; i < CONNECTIONS; i++) {
        char answer[KIB] = "";
        size_t len = 0;
        send_all(server->fds[i], request, sizeof request - 1);
        for (; strstr(answer, "\r\n\r\n") == NULL; len++) CHECK(len < sizeof answer - 1 && recv(server->fds[i], answer + len, 1, 0) == 1);
        CHECK(strncmp(answer, "HTTP/1.1 101 ", 13) == 0);
    }
}

static void websocket_echo(struct server *server, int n) {
    static const uint8_t mask[] = {0x37, 0xfa, 0x21, 0x3d};
    uint8_t request[2 + sizeof mask + MESSAGE] = {0x81, 0x80 | MESSAGE}, answer[2 + MESSAGE] = {0x81, MESSAGE};
    memcpy(request + 2, mask, sizeof mask);
    memcpy(answer + 2, burst[0], MESSAGE);
    for (int i = 0; i < MESSAGE; i++) request[2 + sizeof mask + i] = burst[0][i] ^ mask[i % 4];
    exchange(server, request, sizeof request, answer, sizeof answer, n);
}

static void echo_stream(struct server *server, int n) {
    size_t sent = 0, answered = 0, all = (size_t)n * BLOCK;
    while (answered < all) {
        size_t ahead = BLOCKS_AHEAD * (size_t)BLOCK - (sent - answered), in_block = sent % BLOCK;
        int more = sent < all && ahead > 0;
        struct pollfd ready = {.fd = server->fds[0], .events = (short)(POLLIN | (more ? POLLOUT : 0))};
        CHECK(poll(&ready, 1, -1) == 1);
        if (ready.revents & POLLIN) {
            ssize_t len = recv(ready.fd, received, BLOCK - answered % BLOCK, MSG_DONTWAIT);
            CHECK(len > 0 && memcmp(received, block + answered % BLOCK, (size_t)len) == 0);
            answered += (size_t)len;
        }
        if (more && ready.revents & POLLOUT) {
            size_t most = BLOCK - in_block < ahead ? BLOCK - in_block : ahead;
            ssize_t len = send(ready.fd, block + in_block, most, MSG_DONTWAIT | MSG_NOSIGNAL);
            CHECK(len > 0 || errno == EAGAIN);
            if (len > 0) sent += (size_t)len;
        }
    }
}

static void churn(struct server *server, int n) {
    int fds[CHURN_AT_ONCE];
    for (int done = 0; done < n; done += CHURN_AT_ONCE) {
        for (int i = 0; i < CHURN_AT_ONCE; i++) {
            fds[i] = connect_to(server, SOCK_STREAM);
            send_all(fds[i], block, 1);
        }
        for (int i = 0; i < CHURN_AT_ONCE; i++) receive_same(fds[i], block, 1);
        for (int i = 0; i < CHURN_AT_ONCE; i++) reset(fds[i]);
    }
}

static void open_datagrams(struct server *server) { server->fds[0] = connect_to(server, SOCK_DGRAM); }

static void udp_echo(struct server *server, int n) {
    int fd = server->fds[0], sent = 0, answered = 0;
    while (answered < n) {
        for (; sent < n && sent - answered < DATAGRAMS_AHEAD; sent++) {
            memcpy(block, &sent, sizeof sent);
            send_all(fd, block, MESSAGE);
        }
        ssize_t len = recv(fd, received, sizeof received, 0);
        for (; len >= 0; len = recv(fd, received, sizeof received, MSG_DONTWAIT)) {
            CHECK(len == MESSAGE && memcmp(received, &answered, sizeof answered) == 0);      /* loopback keeps the order */
            answered++;
        }
        CHECK(errno == EAGAIN);
    }
}

static void open_gro(struct server *server) {
    int one = 1;
    open_datagrams(server);
    CHECK(setsockopt(server->fds[0], SOL_UDP, UDP_GRO, &one, sizeof one) == 0);
}

/* SEGMENTS datagrams by one call. */
static void send_batch(int fd) {
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(uint16_t))];
    } control;
    struct iovec data = {block, SEGMENTS * MESSAGE};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    uint16_t size = MESSAGE;
    memset(&control, 0, sizeof control);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    *header = (struct cmsghdr){.cmsg_level = SOL_UDP, .cmsg_type = UDP_SEGMENT, .cmsg_len = CMSG_LEN(sizeof size)};
    memcpy(CMSG_DATA(header), &size, sizeof size);
    CHECK(sendmsg(fd, &message, 0) == SEGMENTS * MESSAGE);
}

static void udp_gso(struct server *server, int n) {
    int fd = server->fds[0], sent = 0, answered = 0;
    while (answered < n) {
        while (sent < n && sent - answered <= (BATCHES_AHEAD - 1) * SEGMENTS) send_batch(fd), sent += SEGMENTS;
        /* One datagram or many together: the bytes are those of the batch from where it was. */
        ssize_t len = recv(fd, received, sizeof received, 0);
        for (; len >= 0; len = recv(fd, received, sizeof received, MSG_DONTWAIT)) {
            int first = answered % SEGMENTS;
            CHECK(len > 0 && len % MESSAGE == 0 && first + len / MESSAGE <= SEGMENTS);
            CHECK(memcmp(received, block + first * MESSAGE, (size_t)len) == 0);
            answered += (int)len / MESSAGE;
        }
        CHECK(errno == EAGAIN);
    }
}

/* ---- the measuring ---- */

static const struct load {
    const char *name, *unit;
    double ns;                  /* in a unit */
    int operations, at_once;    /* for each server in all; those of a slice are a multiple of at_once */
    void (*open)(struct server *server);
    void (*run)(struct server *server, int operations);
} loads[] = {
    {"echo_1x64", "us", 1e3, 12000, 1, open_one, echo_1x64},
    {"echo_64x1k", "us", 1e3, 60000, 1, open_many, echo_64x1k},
    {"echo_burst", "us", 1e3, 10000, 1, open_many, echo_burst},
    {"websocket_echo", "us", 1e3, 60000, 1, open_websockets, websocket_echo},
    {"echo_stream", "us", 1e3, 6000, 1, open_one, echo_stream},
    {"churn", "us", 1e3, 9600, CHURN_AT_ONCE, NULL, churn},
    {"udp_echo", "ns", 1.0, 80000, 1, open_datagrams, udp_echo},
    {"udp_gso", "ns", 1.0, 96000, SEGMENTS, open_gro, udp_gso},
};

static void report_for(const struct server *server, const char *workload, double value, const char *unit) {
    printf("%s ", server->impl);
    report(workload, value, unit);
}

static double middle(double *slices) {
    double sum = 0.0;
    qsort(slices, SLICES, sizeof *slices, compare_doubles);
    for (int i = SLICES / 4; i < SLICES - SLICES / 4; i++) sum += slices[i];
    return sum / (SLICES - SLICES / 4 * 2);
}

static int multiple(int n, int of) { return n < of ? of : n - n % of; }

static void measure(const struct load *load, int operations) {
    int n = multiple((operations > 0 ? operations : load->operations) / SLICES, load->at_once);
    int warm = multiple(n / 10, load->at_once);
    round_trips = allocate((size_t)n * sizeof *round_trips);
    for (struct server *s = servers; s < servers + server_count; s++) {
        loaded = s;
        if (load->open != NULL) load->open(s);
    }
    for (int slice = 0; slice < SLICES; slice++)
        for (struct server *s = servers; s < servers + server_count; s++) {
            loaded = s;
            load->run(s, warm);
            double cpu = server_cpu_ns(s);
            load->run(s, n);
            s->cpu[slice] = (server_cpu_ns(s) - cpu) / n / load->ns;
            if (load->run != echo_1x64) continue;
            qsort(round_trips, (size_t)n, sizeof *round_trips, compare_doubles);
            s->median[slice] = round_trips[n / 2] / load->ns;
            s->p99[slice] = round_trips[n * 99 / 100] / load->ns;
        }
    loaded = NULL;
    for (struct server *s = servers; s < servers + server_count; s++) {
        report_for(s, "operations", SLICES * (n + warm), "all");
        if (load->run == echo_1x64) {
            report_for(s, "echo_1x64", middle(s->median), load->unit);
            report_for(s, "echo_1x64_p99", middle(s->p99), load->unit);
            report_for(s, "echo_1x64_cpu", middle(s->cpu), load->unit);
        } else {
            report_for(s, load->name, middle(s->cpu), load->unit);
        }
    }
}

static int open_used(const struct server *server) {
    int fd = connect_to(server, SOCK_STREAM);
    send_all(fd, block, 1);
    receive_same(fd, block, 1);
    return fd;
}

static void measure_idle(int n, int descriptors) {
    int *fds = allocate((size_t)n * sizeof *fds);
    if (n > descriptors - DESCRIPTORS_SPARE) n = descriptors - DESCRIPTORS_SPARE;
    CHECK(n > 0);
    for (struct server *s = servers; s < servers + server_count; s++) {
        loaded = s;
        reset(open_used(s));
        double bytes = server_resident_bytes(s);
        for (int i = 0; i < n; i++) fds[i] = open_used(s);
        report_for(s, "idle", (server_resident_bytes(s) - bytes) / n, "B");
        for (int i = 0; i < n; i++) reset(fds[i]);
    }
    loaded = NULL;
}

/* ---- group ---- */

/* A thread of the load: its connections to one of the servers, and how many bursts it is to have. */
struct puller {
    struct server server;
    int operations;
};

static void *pull(void *argument) {
    struct puller *it = argument;
    exchange(&it->server, block, 1, burst[0], sizeof burst, it->operations);
    return NULL;
}

static void pull_all(struct puller *pullers, int count, int operations) {
    pthread_t threads[GROUP_THREADS];
    for (int i = 0; i < count; i++) {
        pullers[i].operations = operations / count;
        CHECK(pthread_create(&threads[i], NULL, pull, &pullers[i]) == 0);
    }
    for (int i = 0; i < count; i++) CHECK(pthread_join(threads[i], NULL) == 0);
}

/* The first GROUP_PROCESSORS that there are, or all others; any, if there are not twice as many. */
static void keep_to(int servers_part) {
    cpu_set_t part;
    int n = 0;
    if (CPU_COUNT(&processors) < 2 * GROUP_PROCESSORS) return;
    CPU_ZERO(&part);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &processors) && (n++ < GROUP_PROCESSORS) == servers_part) CPU_SET(cpu, &part);
    CHECK(sched_setaffinity(0, sizeof part, &part) == 0);
}

static int group_threads(void) {
    int left = CPU_COUNT(&processors) - GROUP_PROCESSORS;
    return left < 2 ? 2 : left < GROUP_THREADS ? left : GROUP_THREADS;
}

static void measure_group(int operations) {
    static struct puller pullers[SERVERS][GROUP_THREADS];
    int threads = group_threads(), n = multiple((operations > 0 ? operations : GROUP_BURSTS) / SLICES, threads);
    int warm = multiple(n / 10, threads);
    keep_to(0);
    for (int s = 0; s < server_count; s++)
        for (int i = 0; i < threads; i++) {
            loaded = &servers[s];
            pullers[s][i].server = servers[s];
            open_many(&pullers[s][i].server);
        }
    for (int slice = 0; slice < SLICES; slice++)
        for (int s = 0; s < server_count; s++) {
            loaded = &servers[s];
            pull_all(pullers[s], threads, warm);
            double t = wall_ns();
            pull_all(pullers[s], threads, n);
            servers[s].median[slice] = (wall_ns() - t) / n / 1e3;
        }
    loaded = NULL;
    for (int s = 0; s < server_count; s++) {
        report_for(&servers[s], "operations", SLICES * (n + warm), "all");
        report_for(&servers[s], "group", middle(servers[s].median), "us");
    }
}

int main(int argc, char **argv) {
    struct rlimit files;
    struct sched_param priority = {0};
    CHECK(argc > 3 && argc - 3 <= SERVERS);
    const char *workload = argv[1];
    int operations = atoi(argv[2]);

    /* All this the servers inherit. */
    CHECK(getrlimit(RLIMIT_NOFILE, &files) == 0);
    files.rlim_cur = files.rlim_max;
    CHECK(setrlimit(RLIMIT_NOFILE, &files) == 0);
    CHECK(sched_getaffinity(0, sizeof processors, &processors) == 0);
    int of_group = strcmp(workload, "group") == 0;
    if (of_group) {
        keep_to(1);
    } else {
        pin_thread(1);
        CHECK(sched_setscheduler(0, SCHED_BATCH, &priority) == 0);
    }

    signal(SIGALRM, on_alarm);
    CHECK(atexit(tell_whose_fault) == 0);
    alarm(SECONDS_AT_MOST);
    for (server_count = 0; server_count < argc - 3; server_count++) {
        loaded = &servers[server_count];
        start_server(loaded, argv[3 + server_count], workload);
    }
    fill_burst();
    for (int i = 0; i < BLOCK; i++) block[i] = (uint8_t)random_u32();
    if (of_group) {
        measure_group(operations);
    } else if (strcmp(workload, "idle") == 0) {
        measure_idle(operations > 0 ? operations : IDLE_CONNECTIONS, (int)files.rlim_cur);
    } else {
        const struct load *load = loads, *end = loads + sizeof loads / sizeof *loads;
        while (load < end && strcmp(load->name, workload) != 0) load++;
        loaded = NULL;
        CHECK(load < end);
        measure(load, operations);
    }
    for (struct server *s = servers; s < servers + server_count; s++) {
        kill(s->pid, SIGKILL);
        CHECK(waitpid(s->pid, NULL, 0) == s->pid);
    }
    return 0;
}
