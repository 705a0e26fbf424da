/* The floor: what a message there and one with descriptors back costs when a server does nothing else.

   floor serve PATH    floor client PATH

   A request is one byte and one number: `r` n wants n descriptors, `s` brings n, `d` only wants an answer. */
#include "batch.h"
#include <signal.h>

#define PAUSE 500 /* microseconds */

static int channel;

static void send_message(int fd, char const *text, int const *descriptors, int n) {
    struct iovec part = {(void *)text, 2};
    char control[CMSG_SPACE(PER_CALL * sizeof(int))] = {0};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (n) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE((size_t)n * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN((size_t)n * sizeof(int));
        memcpy(CMSG_DATA(header), descriptors, (size_t)n * sizeof(int));
    }
    if (sendmsg(fd, &message, MSG_NOSIGNAL) < 0) die("sendmsg");
}

/* How many bytes came, 0 at the end; closes the descriptors that came and counts them. */
static int receive_message(int fd, char *text, int *closed) {
    struct iovec part = {text, 2};
    char control[CMSG_SPACE(PER_CALL * sizeof(int))];
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    if (got < 0) die("recvmsg");
    *closed = 0;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header && header->cmsg_type == SCM_RIGHTS) {
        *closed = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        for (int i = 0; i < *closed; i++) {
            int one;
            memcpy(&one, CMSG_DATA(header) + (size_t)i * sizeof one, sizeof one);
            close(one);
        }
    }
    return (int)got;
}

static void answer_until_closed(int fd) {
    int held[PER_CALL], closed;
    char text[2];
    for (int i = 0; i < PER_CALL; i++) held[i] = open_kind("memfd");
    while (receive_message(fd, text, &closed) == 2) send_message(fd, text, held, text[0] == 'r' ? text[1] : 0);
}

static int serve(char const *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listening = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (strlen(path) >= sizeof address.sun_path) fail("the path is too long for a socket", path);
    strcpy(address.sun_path, path);
    if (bind(listening, (struct sockaddr *)&address, sizeof address) || listen(listening, 8)) die(path);
    signal(SIGCHLD, SIG_IGN);
    if (write(1, "\n", 1) != 1) die("readiness");
    for (;;) {
        int fd = accept(listening, NULL, NULL);
        if (fd < 0) die("accept");
        if (!fork()) {
            close(listening);
            answer_until_closed(fd);
            _exit(0);
        }
        close(fd);
    }
}

static void round_trip(char op, int n, int const *descriptors, int expected) {
    char text[2] = {op, (char)n};
    int closed;
    send_message(channel, text, descriptors, descriptors ? n : 0);
    if (receive_message(channel, text, &closed) != 2) fail("the server went away", "floor");
    if (closed != expected) fail("descriptors are missing", "floor");
}

static double retrieve(struct batch const *b) {
    double start = now();
    for (long i = 0; i < b->count; i++) round_trip('r', 1, NULL, 1);
    return now() - start;
}

/* A client that has other things to do: only the round trips are timed, not what lies between them. */
static double retrieve_paced(struct batch const *b) {
    double taken = 0;
    for (long i = 0; i < b->count; i++) {
        usleep(PAUSE);
        double start = now();
        round_trip('r', 1, NULL, 1);
        taken += now() - start;
    }
    return taken;
}

static double retrieve_many(struct batch const *b) {
    double start = now();
    for (long i = 0; i < b->count; i += PER_CALL) round_trip('r', PER_CALL, NULL, PER_CALL);
    return now() - start;
}

static double stash(struct batch const *b) {
    open_all(b);
    double start = now();
    for (long i = 0; i < b->count; i++) round_trip('s', 1, opened + i, 0);
    double taken = now() - start;
    close_all(b);
    return taken;
}

static double stash_many(struct batch const *b) {
    open_all(b);
    double start = now();
    for (long i = 0; i + PER_CALL <= b->count; i += PER_CALL) round_trip('s', PER_CALL, opened + i, 0);
    double taken = now() - start;
    close_all(b);
    return taken;
}

static double discard(struct batch const *b) {
    double start = now();
    for (long i = 0; i < b->count; i++) round_trip('d', 0, NULL, 0);
    return now() - start;
}

int main(int argc, char **argv) {
    static struct verb const verbs[] = {{"retrieve", retrieve}, {"retrieve64", retrieve_many},
                                        {"stash", stash},       {"stash64", stash_many},
                                        {"discard", discard},   {"paced", retrieve_paced},
                                        {NULL, NULL}};
    if (argc != 3) fail("usage", "floor serve|client PATH");
    if (!strcmp(argv[1], "serve")) return serve(argv[2]);
    channel = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    connect_to(channel, argv[2]);
    return serve_batches(verbs);
}
