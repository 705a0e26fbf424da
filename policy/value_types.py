"""The types of values that keys take, in words."""

from enum import Enum


class Type(Enum):
    """What a key takes; the value says it in short, `detail` in full."""

    VERSION = "the number 1"
    NAME = "a name"
    TEXT = "text"
    BOOLEAN = "`true` or `false`"
    COUNT = "a number"
    MODE = "`enforce` or `monitor`"
    OPENER_UNKNOWN = "`deny` or `assume-stasher`"
    EFFECT = "`allow` or `forbid`"
    ACTIONS = "one or more actions, or `all`"
    KINDS = "one or more kinds"
    ACCESS = "one or more access modes"
    FILESYSTEMS = "one or more file systems"
    LABELS = "one or more labels"
    GLOBS = "one or more globs"
    UIDS = "one or more uids"
    UIDS_OR_SAME = "one or more uids, or `same`"
    GIDS = "one or more gids"
    CGROUP = "the path of a cgroup"
    CGROUPS = "one or more cgroups"
    CAPABILITIES = "one or more capabilities"
    CAPABILITIES_OR_NO_MORE = "one or more capabilities, or `no-more-than-subject`"
    USERNS = "`same`, `below` or `same-or-below`"
    SET_NAMES = "one or more names of sets"
    INSTANCES = "one or more instances"
    SETS = "a mapping of names to sets"
    RULES = "a list of rules"
    MAPPING = "a mapping"

    @property
    def detail(self) -> str:
        """How such a value is written, in one or more sentences; empty: as it says."""
        return _DETAIL.get(self, "")


_IDS = "Numbers and names mean the instance's ids; `host:` and a number means an id of the host."
_DETAIL = {
    Type.NAME: "Letters, digits, `.`, `_` and `-`, a letter or digit first, at most 64 of them.",
    Type.COUNT: "From 0 to 4294967294.",
    Type.FILESYSTEMS: "As the kernel calls them, or `fuse.` and a subtype.",
    Type.UIDS: f"Each is a number or a user name. {_IDS}",
    Type.UIDS_OR_SAME: f"Each is a number or a user name. {_IDS}",
    Type.GIDS: f"Each is a number or a group name. {_IDS}",
    Type.CGROUP: "With a leading slash.",
    Type.CGROUPS: "Each is a path with a leading slash, or a glob over such paths.",
    Type.CAPABILITIES: "As capabilities(7) calls them; all of those listed are meant.",
    Type.CAPABILITIES_OR_NO_MORE: "As capabilities(7) calls them; all of those listed are meant.",
    Type.INSTANCES: "Each is the path of a mount or a glob over such paths, with a leading slash, or a mapping with "
    "`owner` or `cgroup`.",
    Type.RULES: "It may be empty.",
}
