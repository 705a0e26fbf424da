"""The few kernel headers that bcc wants, laid out as the running kernel's BTF says.

So no package of kernel headers is needed, and the programs read the fields of the kernel that runs. Of each struct
there is only what the programs read, each field at its place in a union of padded structs.
"""

import contextlib
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from fdstorefs.bpf.btf import POINTER_SIZE, Btf, Member
from fdstorefs.bpf.kernel_error import KernelError
from fdstorefs.bpf.kernel_types import WANTED, Field

VERSION = (6, 1)
"""What LINUX_VERSION_CODE says, to bcc's own headers only."""

_TYPES = """#pragma once
typedef unsigned char __u8; typedef unsigned short __u16; typedef unsigned int __u32; typedef unsigned long long __u64;
typedef signed char __s8; typedef short __s16; typedef int __s32; typedef long long __s64;
typedef __u8 u8; typedef __u16 u16; typedef __u32 u32; typedef __u64 u64;
typedef __s8 s8; typedef __s16 s16; typedef __s32 s32; typedef __s64 s64;
typedef __u16 __be16; typedef __u32 __be32; typedef __u64 __be64; typedef __u32 __wsum; typedef __u16 __sum16;
typedef _Bool bool; typedef unsigned long size_t; typedef unsigned long uintptr_t;
#define __aligned_u64 __u64 __attribute__((aligned(8)))
#define NULL ((void *)0)
#define __always_inline inline __attribute__((always_inline))
"""
_FIXED = {
    "linux/kconfig.h": "#define CONFIG_BPF_SYSCALL 1\n",
    "linux/version.h": "#pragma once\n#define KERNEL_VERSION(a,b,c) (((a)<<16)+((b)<<8)+(c))\n"
    "#ifndef LINUX_VERSION_CODE\n"
    f"#define LINUX_VERSION_CODE KERNEL_VERSION({VERSION[0]},{VERSION[1]},0)\n"
    "#endif\n",
    "asm/page.h": "#include <linux/types.h>\n#define PAGE_SHIFT 12\n#define PAGE_SIZE 4096UL\n",
}
_ONLY_TYPES = (
    "asm/types.h",
    "linux/bpf_common.h",
    "linux/log2.h",
    "linux/ptrace.h",
    "uapi/linux/bpf.h",
    "uapi/linux/if_ether.h",
    "uapi/linux/if_packet.h",
    "uapi/linux/ptrace.h",
)
_ARCHITECTURES = ("x86", "arm64")  # bcc looks into the directory of its own
_SCALARS = {
    **dict.fromkeys(("__u8", "__s8", "char", "unsigned char", "signed char", "bool"), 1),
    **dict.fromkeys(("__u16", "__s16", "short", "unsigned short"), 2),
    **dict.fromkeys(("__u32", "__s32", "int", "unsigned int"), 4),
    **dict.fromkeys(("__u64", "__s64", "long", "unsigned long", "long long", "unsigned long long"), 8),
}
_DECLARATION = re.compile(
    r"(?P<type>[a-z_ 0-9]*[a-z_0-9]) (?P<pointers>\**)(?P<name>\w+)(\[(?P<count>\d*)\])?"
)


@contextlib.contextmanager
def header_tree(btf: Btf, wanted: Mapping[str, tuple[Field, ...]] = WANTED) -> Iterator[Path]:
    """A private temporary directory with the headers, which goes at the end."""
    with tempfile.TemporaryDirectory(prefix="fdstorefs-headers-") as directory:
        _write(Path(directory), {**_FIXED, "linux/types.h": types_header(btf, wanted)})
        yield Path(directory)


def types_header(btf: Btf, wanted: Mapping[str, tuple[Field, ...]]) -> str:
    """The text of linux/types.h: the usual names of numbers, and the structs with their wanted fields."""
    known = [f"struct {name};" for name in wanted]
    structs = [_struct(btf, name, fields) for name, fields in wanted.items()]
    return "\n".join([_TYPES, *known, *structs]) + "\n"


def _struct(btf: Btf, name: str, fields: tuple[Field, ...]) -> str:
    rows = (_field(btf, name, number, field) for number, field in enumerate(fields))
    checks = (_check(btf, name, field) for field in fields)
    return "\n".join([f"struct {name} {{ union {{", *rows, "}; };", *checks])


def _check(btf: Btf, struct_name: str, field: Field) -> str:
    """Have the compiler see that it laid a field out where we meant it."""
    place = f"__builtin_offsetof(struct {struct_name}, {_name(field[0])})"
    return f'_Static_assert({place} == {btf.member(struct_name, field[1]).offset}, "{field[1]}");'


def _field(btf: Btf, struct_name: str, number: int, field: Field) -> str:
    declaration, path = field
    member = btf.member(struct_name, path)
    size = _declared_size(declaration)
    if size != member.size:
        raise _another_size(struct_name, path, f"it has {member.size} bytes where {size} are expected")
    padding = f"char __pad{number}[{member.offset}]; " if member.offset else ""
    return f"  struct {{ {padding}{declaration}; }}{_alignment(member)};"


def _alignment(member: Member) -> str:
    """What makes the compiler read a member in parts, where the kernel made a long one of shorter ones."""
    place = member.offset & -member.offset
    if not member.offset or not member.size or place >= min(member.size, POINTER_SIZE):
        return ""
    return f" __attribute__((packed, aligned({place})))"


def _declared_size(declaration: str) -> int | None:
    """How long something declared in C is, in bytes; None for what isn't known by its declaration alone."""
    parts = _parts(declaration)
    one = POINTER_SIZE if parts["pointers"] else _SCALARS.get(parts["type"].removeprefix("const "))
    if one is None or parts["count"] is None:
        return one
    return one * int(parts["count"] or 0)


def _name(declaration: str) -> str:
    return _parts(declaration)["name"]


def _parts(declaration: str) -> re.Match[str]:
    parts = _DECLARATION.fullmatch(declaration)
    if parts is None:
        raise ValueError(f"`{declaration}` is no declaration of a number, a pointer or an array")
    return parts


def _another_size(struct_name: str, path: str, why: str) -> KernelError:
    what = "a type of the kernel is not as expected"
    hint = "this kernel is newer or older than those that this version knows; `fdstorefs doctor` says which it does"
    return KernelError("btf-field", what, where=f"struct {struct_name}, {path}", why=why, hint=hint)


def _write(root: Path, headers: Mapping[str, str]) -> None:
    stubs = dict.fromkeys(_ONLY_TYPES, "#include <linux/types.h>\n")
    for name, text in {**stubs, **headers}.items():
        path = root / "include" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for architecture in _ARCHITECTURES:
        (root / "arch" / architecture / "include" / "asm").mkdir(parents=True)
