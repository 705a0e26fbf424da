/* The measuring loop of every client here.

   A client reads batches from standard input, one a line: OP KIND FIRST SPAN COUNT. It runs COUNT operations
   and answers with one line of JSON: how many seconds they took, and how many descriptors or names came.
   Entry number n is called `en`. Only what OP names is timed: opening what will be stashed is not. */
#ifndef BATCH_H
#define BATCH_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PER_CALL 64
#define STRIDE 7919 /* a prime: entries are visited all over the store, each as often as the others */
#define MOST 1024   /* descriptors of one batch */

struct batch {
    char op[16];
    char kind[16];
    long first, span, count;
};

/* Runs a batch and returns the seconds it took. */
typedef double batch_run(struct batch const *);

struct verb {
    char const *op;
    batch_run *run;
};

static inline double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline void die(char const *what) {
    fflush(stdout);
    perror(what);
    exit(1);
}

static inline void fail(char const *what, char const *detail) {
    fflush(stdout);
    fprintf(stderr, "%s: %s\n", what, detail);
    exit(1);
}

static inline long picked(struct batch const *b, long i) { return b->first + i * STRIDE % b->span; }

static inline int listening_socket(void) {
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof any) || listen(fd, 16)) die("listening socket");
    return fd;
}

static inline int pipe_end(void) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC)) die("pipe");
    close(ends[1]);
    return ends[0];
}

#define NAMES 64 /* of one open file: an instance lets it have no more */

/* A descriptor of this kind; `shared` is the same open file so many times in turn, the others are new ones. */
static inline int open_kind(char const *kind) {
    static int shared = -1, names = 0;
    int fd = -1;
    if (!strcmp(kind, "shared")) {
        if (names++ % NAMES == 0) {
            if (shared >= 0) close(shared);
            shared = open("/dev/null", O_RDONLY | O_CLOEXEC);
        }
        fd = dup(shared);
    } else if (!strcmp(kind, "memfd")) fd = memfd_create("bench", MFD_CLOEXEC);
    else if (!strcmp(kind, "pipe")) fd = pipe_end();
    else if (!strcmp(kind, "tcp")) fd = listening_socket();
    else if (!strcmp(kind, "eventfd")) fd = eventfd(0, EFD_CLOEXEC);
    else if (!strcmp(kind, "zero")) fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    else fail("unknown kind", kind);
    if (fd < 0) die(kind);
    return fd;
}

static int opened[MOST];

static inline void open_all(struct batch const *b) {
    if (b->count > MOST) fail("too many descriptors in a batch", b->op);
    for (long i = 0; i < b->count; i++) opened[i] = open_kind(b->kind);
}

static inline void close_all(struct batch const *b) {
    for (long i = 0; i < b->count; i++) close(opened[i]);
}

static inline void connect_to(int fd, char const *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) fail("the path is too long for a socket", path);
    strcpy(address.sun_path, path);
    if (connect(fd, (struct sockaddr *)&address, sizeof address)) die(path);
}

static inline void run_line(struct verb const *verbs, char const *line) {
    struct batch b;
    if (sscanf(line, "%15s %15s %ld %ld %ld", b.op, b.kind, &b.first, &b.span, &b.count) != 5)
        fail("not a batch", line);
    for (; verbs->op; verbs++)
        if (!strcmp(verbs->op, b.op)) {
            printf("{\"op\": \"%s\", \"count\": %ld, \"seconds\": %.9f}\n", b.op, b.count, verbs->run(&b));
            return;
        }
    fail("unknown operation", b.op);
}

static inline int serve_batches(struct verb const *verbs) {
    char line[256];
    setvbuf(stdout, NULL, _IOLBF, 0);
    while (fgets(line, sizeof line, stdin)) run_line(verbs, line);
    return 0;
}
#endif
