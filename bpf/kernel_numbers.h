/*
 * Numbers of the kernel's that its description of types does not have.
 */
#ifndef FDS_KERNEL_NUMBERS_H
#define FDS_KERNEL_NUMBERS_H

enum { false, true };

/* Before a loop: the compiler is to write it down once, not once for each turn. */
#define each_once _Pragma("clang loop unroll(disable)")

#define EPERM 1
#define ENOMEM 12
#define EACCES 13
#define ENOSPC 28
#define EMLINK 31
#define EISCONN 106
#define ENOTCONN 107
#define EINPROGRESS 115

#define F_SETFD 2
#define O_ACCMODE 3
#define O_RDONLY 0
#define O_WRONLY 1
#define O_TRUNC 01000
#define FMODE_CREATED 0x100000

#define S_IFMT 0170000
#define S_IFREG 0100000
#define FUSE_SUPER_MAGIC 0x65735546

#define CLONE_THREAD 0x10000

#define CAP_SYS_PTRACE 19
#define CAP_SYS_ADMIN 21
#define ALL_CAPABILITIES 0x1ffffffffffULL

#endif
