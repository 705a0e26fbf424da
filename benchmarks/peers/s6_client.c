/* s6-fdholderd over one connection that stays open, through s6's own client library.   s6_client SOCKET */
#include "batch.h"
#include <s6/fdholder.h>
#include <skalibs/genalloc.h>
#include <skalibs/stralloc.h>
#include <skalibs/tai.h>

#define PATIENCE 60 /* seconds for a batch */

static s6_fdholder_t holder = S6_FDHOLDER_ZERO;
static tain deadline, never;

static void set_deadline(void) {
    tain_now_g();
    tain_addsec_g(&deadline, PATIENCE);
    tain_add_g(&never, &tain_infinite_relative);
}

static char const *name_of(long number) {
    static char name[32];
    snprintf(name, sizeof name, "e%ld", number);
    return name;
}

static double stash(struct batch const *b) {
    set_deadline();
    open_all(b);
    double start = now();
    for (long i = 0; i < b->count; i++)
        if (!s6_fdholder_store_g(&holder, opened[i], name_of(b->first + i), &never, &deadline)) die("store");
    double taken = now() - start;
    close_all(b);
    return taken;
}

static double retrieve(struct batch const *b) {
    set_deadline();
    double start = now();
    for (long i = 0; i < b->count; i++) {
        int fd = s6_fdholder_retrieve_g(&holder, name_of(picked(b, i)), &deadline);
        if (fd < 0) die("retrieve");
        close(fd);
    }
    return now() - start;
}

static double discard(struct batch const *b) {
    set_deadline();
    double start = now();
    for (long i = 0; i < b->count; i++)
        if (!s6_fdholder_delete_g(&holder, name_of(b->first + i), &deadline)) die("delete");
    return now() - start;
}

static double list(struct batch const *b) {
    stralloc names = STRALLOC_ZERO;
    set_deadline();
    double start = now();
    for (long i = 0; i < b->count; i++) {
        names.len = 0;
        int n = s6_fdholder_list_g(&holder, &names, &deadline);
        if (n < 0) die("list");
        if (n != b->span) fail("entries are missing", "list");
    }
    double taken = now() - start;
    stralloc_free(&names);
    return taken;
}

/* All there is, which is s6's way to get many at once; COUNT is that of the descriptors. */
static double dump(struct batch const *b) {
    genalloc entries = GENALLOC_ZERO;
    set_deadline();
    double start = now();
    if (!s6_fdholder_getdump_g(&holder, &entries, &deadline)) die("getdump");
    long n = (long)genalloc_len(s6_fdholder_fd_t, &entries);
    for (long i = 0; i < n; i++) close(genalloc_s(s6_fdholder_fd_t, &entries)[i].fd);
    double taken = now() - start;
    genalloc_free(s6_fdholder_fd_t, &entries);
    if (n != b->count) fail("entries are missing", "getdump");
    return taken;
}

int main(int argc, char **argv) {
    static struct verb const verbs[] = {{"stash", stash}, {"retrieve", retrieve}, {"discard", discard},
                                        {"list", list},   {"dump", dump},         {NULL, NULL}};
    if (argc != 2) fail("usage", "s6_client SOCKET");
    set_deadline();
    if (!s6_fdholder_start_g(&holder, argv[1], &deadline)) die(argv[1]);
    return serve_batches(verbs);
}
