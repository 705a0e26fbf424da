"""The fields of the kernel's own structs that the programs read.

By struct: a declaration as the programs see it, and the dotted path of the member in the kernel's BTF. The size of
what is declared must be that of the member; a struct can be declared by pointer only.
"""

from collections.abc import Mapping

Field = tuple[str, str]

WANTED: Mapping[str, tuple[Field, ...]] = {
    "user_namespace": (
        ("unsigned int inum", "ns.inum"),
        ("struct user_namespace *parent", "parent"),
        ("int level", "level"),
        ("__u32 owner", "owner"),
    ),
    "group_info": (
        ("int ngroups", "ngroups"),
        ("__u32 gid[0]", "gid"),
    ),
    "cred": (
        ("__u32 uid", "uid"),
        ("__u32 gid", "gid"),
        ("__u32 euid", "euid"),
        ("__u32 fsuid", "fsuid"),
        ("__u32 fsgid", "fsgid"),
        ("__u64 cap_effective", "cap_effective"),
        ("struct user_namespace *user_ns", "user_ns"),
        ("struct group_info *group_info", "group_info"),
    ),
    "task_struct": (
        ("struct task_struct *group_leader", "group_leader"),
        ("const struct cred *cred", "cred"),
        ("int pid", "pid"),
        ("int tgid", "tgid"),
        ("__u64 start_boottime", "start_boottime"),
    ),
    "super_block": (
        ("__u32 s_dev", "s_dev"),
        ("unsigned long s_magic", "s_magic"),
        ("struct user_namespace *s_user_ns", "s_user_ns"),
    ),
    "inode": (
        ("struct super_block *i_sb", "i_sb"),
        ("unsigned long i_ino", "i_ino"),
        ("__u16 i_mode", "i_mode"),
    ),
    "dentry": (("struct super_block *d_sb", "d_sb"),),
    "file": (
        ("struct inode *f_inode", "f_inode"),
        ("const struct cred *f_cred", "f_cred"),
        ("unsigned int f_flags", "f_flags"),
        ("unsigned int f_mode", "f_mode"),
    ),
    "unix_sock": (("struct dentry *path_dentry", "path.dentry"),),
    "bpf_map": (("__u32 id", "id"),),
    "bpf_prog_aux": (("__u32 id", "id"),),
    "bpf_prog": (("struct bpf_prog_aux *aux", "aux"),),
}
