"""Structs are declared to the compiler as the kernel's own types say that they lie, or not at all."""

import struct
import subprocess
from pathlib import Path

import pytest

from fdstorefs.bpf.btf import Btf, Member
from fdstorefs.bpf.header_tree import header_tree, types_header
from fdstorefs.bpf.kernel_error import KernelError
from tests.unit.bpf.types_of_a_kernel import (
    CONST,
    FUNCTION,
    POINTER,
    PROTOTYPE,
    STRUCT,
    TYPEDEF,
    UNION,
    Types,
)


def kernel() -> Btf:
    """A kernel with structs inside structs, named and not, aliases, arrays, bit fields."""
    types = Types()
    u32 = types.number("unsigned int", 4)
    kuid = types.add(TYPEDEF, "kuid_t", u32)
    u64 = types.number("unsigned long", 8)
    pair = types.array(u32, 2)
    capabilities = types.struct("kernel_cap_struct", 8, ("cap", pair, 0))
    namespace = types.struct("ns_common", 16, ("stashed", u64, 0), ("inum", u32, 64))
    constant = types.add(CONST, "", namespace)
    pointer = types.add(POINTER, "", constant)
    inner = types.struct("", 8, ("low", u32, 0), ("high", u32, 32))
    union = types.struct("", 8, ("whole", u64, 0), ("", inner, 0), kind=UNION)
    types.struct(
        "cred",
        96,
        ("uid", kuid, 32),
        ("cap", capabilities, 12 * 8),
        ("ns", namespace, 24 * 8),
        ("next", pointer, 40 * 8),
        ("", union, 48 * 8),
        ("list", types.array(kuid, 0), 64 * 8),
    )
    types.struct("bits", 8, ("one", u32, 3 | 1 << 24), ("aligned", u32, 32 | 32 << 24), flag=1)
    prototype = types.add(PROTOTYPE, "", u32, count=1, tail=struct.pack("=II", 0, pointer))
    types.add(FUNCTION, "bpf_lsm_bpf_map", prototype)
    return Btf(types.raw())


@pytest.mark.parametrize(
    ("of", "path", "member"),
    [
        ("cred", "uid", Member(4, 4)),
        ("cred", "cap", Member(12, 8)),
        ("cred", "cap.cap", Member(12, 8)),
        ("cred", "ns.inum", Member(32, 4)),
        ("cred", "next", Member(40, 8)),
        ("cred", "whole", Member(48, 8)),
        ("cred", "high", Member(52, 4)),
        ("cred", "list", Member(64, 0)),
        ("bits", "aligned", Member(4, 4)),
    ],
)
def test_a_member(of: str, path: str, member: Member) -> None:
    """It is found through aliases, named structs, and structs without a name."""
    assert member == kernel().member(of, path)


@pytest.mark.parametrize(
    ("of", "path", "why"),
    [
        ("nothing", "x", "there is no such struct"),
        ("cred", "nothing", "it has no `nothing`"),
        ("cred", "ns.nothing", "it has no `nothing`"),
        ("cred", "next.inum", "it has no `inum`"),
        ("bits", "one", "it does not begin at a byte"),
    ],
)
def test_no_such_member(of: str, path: str, why: str) -> None:
    """The error says which is missing; what is behind a pointer is no member."""
    with pytest.raises(KernelError) as raised:
        kernel().member(of, path)

    assert ("btf-field", why) == (raised.value.code, raised.value.why)


def test_functions() -> None:
    """A hook is there if the kernel has a function of its name; a struct of that name is none."""
    assert (True, False, False) == tuple(
        kernel().function(name) is not None for name in ("bpf_lsm_bpf_map", "bpf_lsm_nothing", "cred")
    )


@pytest.mark.parametrize("raw", [b"", b"\x9f\xeb", bytes(64), Types().raw()[:20]])
def test_no_types(raw: bytes) -> None:
    """What is no BTF, or only part of one, is said to be none."""
    with pytest.raises(KernelError) as raised:
        Btf(raw)

    assert "no-btf" == raised.value.code


def test_cut_short() -> None:
    """So is one whose types end in the middle."""
    types = Types()
    types.add(STRUCT, "cred", 8, count=3)
    with pytest.raises(KernelError) as raised:
        Btf(types.raw()).member("cred", "uid")

    assert "no-btf" == raised.value.code


def test_no_file(tmp_path: Path) -> None:
    """A kernel that has none is told from others."""
    with pytest.raises(KernelError) as raised:
        Btf.read(tmp_path / "vmlinux")

    assert ("no-btf", "no such file or directory") == (raised.value.code, raised.value.why)


WANTED = {
    "cred": (
        ("__u32 uid", "uid"),
        ("__u64 capabilities", "cap"),
        ("unsigned int inum", "ns.inum"),
        ("const struct cred *next", "next"),
        ("__u32 list[]", "list"),
    )
}


def test_the_compiler_agrees(tmp_path: Path) -> None:
    """The header that is written compiles, and what it says about places holds."""
    source = tmp_path / "test.c"
    source.write_text(
        "#include <linux/types.h>\nunsigned f(struct cred *cred) { return cred->next->list[0]; }\n"
    )
    with header_tree(kernel(), WANTED) as tree:
        command = [
            "gcc",
            "-nostdinc",
            f"-I{tree}/include",
            "-Wall",
            "-Werror",
            "-c",
            "-o",
            tmp_path / "o",
            source,
        ]
        compiled = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (0, "") == (compiled.returncode, compiled.stderr)


def test_the_tree_goes() -> None:
    """It is there while it is needed, for nobody else, and then not any more."""
    with header_tree(kernel(), WANTED) as tree:
        mode = tree.stat().st_mode & 0o777

    assert (0o700, False) == (mode, tree.exists())


@pytest.mark.parametrize(
    ("declaration", "path", "why"),
    [
        ("__u64 uid", "uid", "it has 4 bytes where 8 are expected"),
        ("__u32 next", "next", "it has 8 bytes where 4 are expected"),
        ("char cap[16]", "cap", "it has 8 bytes where 16 are expected"),
    ],
)
def test_another_size(declaration: str, path: str, why: str) -> None:
    """A field that is longer or shorter than we think is an error, not garbage."""
    with pytest.raises(KernelError) as raised:
        types_header(kernel(), {"cred": ((declaration, path),)})

    assert ("btf-field", why) == (raised.value.code, raised.value.why)


def test_a_struct_inside() -> None:
    """A struct can't be declared by value: what it holds is not known here."""
    with pytest.raises(KernelError):
        types_header(kernel(), {"cred": (("struct ns_common ns", "ns"),)})
