/* A plain C client of an instance's socket: Varlink, which is JSON and a NUL byte, with SCM_RIGHTS.

   fdstorefs_client MOUNT/.fdstore

   It looks into a reply only as far as it must: is it an error, how many names and descriptors came. */
#include "batch.h"
#include <stdarg.h>
#include <stdbool.h>

#define REQUEST 65536
#define REPLY (64 << 20)
#define SHORT 4096 /* bytes; error replies are shorter, and long replies are not searched for one */

static int channel;
static char request[REQUEST];
static size_t length;
static char *reply; /* one reply and its NUL */
static int received[256];
static int received_count;

static void begin(char const *method) {
    length = (size_t)snprintf(request, sizeof request, "{\"method\":\"io.fdstorefs.Store.%s\",\"parameters\":{",
                              method);
}

__attribute__((format(printf, 1, 2))) static void add(char const *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    length += (size_t)vsnprintf(request + length, sizeof request - length, format, arguments);
    va_end(arguments);
    if (length >= sizeof request) fail("the request is too long", request);
}

static void send_request(int const *descriptors, int n) {
    add("}}");
    struct iovec part = {request, length + 1};
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
    if (sendmsg(channel, &message, MSG_NOSIGNAL) != (ssize_t)(length + 1)) die("sendmsg");
}

static void keep_descriptors(struct msghdr *message) {
    if (message->msg_flags & MSG_CTRUNC) fail("descriptors were lost", "recvmsg");
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header))
        if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
            size_t bytes = header->cmsg_len - CMSG_LEN(0);
            memcpy(received + received_count, CMSG_DATA(header), bytes);
            received_count += (int)(bytes / sizeof(int));
        }
}

static void receive_reply(void) {
    size_t got = 0;
    received_count = 0;
    do {
        struct iovec part = {reply + got, REPLY - got};
        char control[CMSG_SPACE(256 * sizeof(int))];
        struct msghdr message = {
            .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
        ssize_t n = recvmsg(channel, &message, MSG_CMSG_CLOEXEC);
        if (n < 0) die("recvmsg");
        if (n == 0) fail("the server went away", request);
        keep_descriptors(&message);
        got += (size_t)n;
    } while (reply[got - 1] != '\0');
    if (got < SHORT && strstr(reply, "\"error\":")) fail(request, reply);
}

static void call(int const *descriptors, int n, int expected) {
    send_request(descriptors, n);
    receive_reply();
    for (int i = 0; i < received_count; i++) close(received[i]);
    if (received_count != expected) fail("descriptors are missing", reply);
}

static double retrieve(struct batch const *b) {
    double start = now();
    for (long i = 0; i < b->count; i++) {
        begin("Retrieve");
        add("\"names\":[\"e%ld\"]", picked(b, i));
        call(NULL, 0, 1);
    }
    return now() - start;
}

static double retrieve_many(struct batch const *b) {
    double start = now();
    for (long i = 0; i < b->count; i += PER_CALL) {
        begin("Retrieve");
        for (long j = i; j < i + PER_CALL; j++) add("%s\"e%ld\"", j > i ? "," : "\"names\":[", picked(b, j));
        add("]");
        call(NULL, 0, PER_CALL);
    }
    return now() - start;
}

static void stash_some(long first, int const *descriptors, int n) {
    begin("Stash");
    for (int i = 0; i < n; i++)
        add("%s{\"name\":\"e%ld\",\"fileDescriptor\":%d}", i ? "," : "\"entries\":[", first + i, i);
    add("]");
    call(descriptors, n, 0);
}

static double stash_by(struct batch const *b, int per_call) {
    open_all(b);
    double start = now();
    for (long i = 0; i + per_call <= b->count; i += per_call) stash_some(b->first + i, opened + i, per_call);
    double taken = now() - start;
    close_all(b);
    return taken;
}

static double stash(struct batch const *b) { return stash_by(b, 1); }

static double stash_many(struct batch const *b) { return stash_by(b, PER_CALL); }

static double discard(struct batch const *b) {
    double start = now();
    for (long i = 0; i < b->count; i++) {
        begin("Discard");
        add("\"names\":[\"e%ld\"]", b->first + i);
        call(NULL, 0, 0);
    }
    return now() - start;
}

static long names_in_reply(void) {
    long n = 0;
    for (char const *at = reply; (at = strstr(at, "\"name\":")); at++) n++;
    return n;
}

static double list_with(struct batch const *b, char const *parameters) {
    double start = now();
    for (long i = 0; i < b->count; i++) {
        begin("List");
        add("%s", parameters);
        call(NULL, 0, 0);
        if (names_in_reply() != b->span) fail("entries are missing", "List");
    }
    return now() - start;
}

static double list(struct batch const *b) { return list_with(b, ""); }

static double list_details(struct batch const *b) { return list_with(b, "\"details\":true"); }

int main(int argc, char **argv) {
    static struct verb const verbs[] = {{"retrieve", retrieve}, {"retrieve64", retrieve_many},
                                        {"stash", stash},       {"stash64", stash_many},
                                        {"discard", discard},   {"list", list},
                                        {"details", list_details}, {NULL, NULL}};
    if (argc != 2) fail("usage", "fdstorefs_client SOCKET");
    reply = malloc(REPLY);
    if (!reply) die("malloc");
    channel = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    connect_to(channel, argv[1]);
    return serve_batches(verbs);
}
