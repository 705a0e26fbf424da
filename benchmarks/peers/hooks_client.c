/* What the kernel's hooks lie in the way of, as fast as a process can do it; all of it within one process, so that no
   wake-up hides what they cost.

   hooks_client FILE DESCRIPTOR SOCKET SOCKET    a file to open, a descriptor to pass, two paths to listen and connect at */
#include "batch.h"

static char const *file;
static int plain, special, ends[2], listening[2];
static char const *paths[2];

static double open_close(struct batch const *b) {
    double start = now();
    for (long i = 0; i < b->count; i++) {
        int fd = open(file, O_RDONLY | O_CLOEXEC);
        if (fd < 0) die(file);
        close(fd);
    }
    return now() - start;
}

static void pass(int fd) {
    char byte = 'x', control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec part = {&byte, 1};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    if (sendmsg(ends[0], &message, 0) != 1) die("sendmsg");
    message.msg_controllen = sizeof control;
    if (recvmsg(ends[1], &message, MSG_CMSG_CLOEXEC) != 1) die("recvmsg");
    header = CMSG_FIRSTHDR(&message);
    if (!header || message.msg_flags & MSG_CTRUNC) fail("the descriptor was refused", "recvmsg");
    memcpy(&fd, CMSG_DATA(header), sizeof fd);
    close(fd);
}

static double pass_all(struct batch const *b, int fd) {
    double start = now();
    for (long i = 0; i < b->count; i++) pass(fd);
    return now() - start;
}

static double pass_plain(struct batch const *b) { return pass_all(b, plain); }

static double pass_special(struct batch const *b) { return pass_all(b, special); }

static double connect_all(struct batch const *b, int which) {
    double start = now();
    for (long i = 0; i < b->count; i++) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), other;
        connect_to(fd, paths[which]);
        if ((other = accept(listening[which], NULL, NULL)) < 0) die("accept");
        close(other);
        close(fd);
    }
    return now() - start;
}

static double connect_plain(struct batch const *b) { return connect_all(b, 0); }

static double connect_special(struct batch const *b) { return connect_all(b, 1); }

static int listen_at(char const *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (strlen(path) >= sizeof address.sun_path) fail("the path is too long for a socket", path);
    strcpy(address.sun_path, path);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 8)) die(path);
    return fd;
}

int main(int argc, char **argv) {
    static struct verb const verbs[] = {{"open", open_close},
                                        {"pass", pass_plain},
                                        {"pass-special", pass_special},
                                        {"connect", connect_plain},
                                        {"connect-special", connect_special},
                                        {NULL, NULL}};
    if (argc != 5) fail("usage", "hooks_client FILE DESCRIPTOR SOCKET SOCKET");
    file = argv[1];
    special = atoi(argv[2]);
    plain = open_kind("memfd");
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)) die("socketpair");
    for (int which = 0; which < 2; which++) {
        paths[which] = argv[3 + which];
        listening[which] = listen_at(paths[which]);
    }
    return serve_batches(verbs);
}
