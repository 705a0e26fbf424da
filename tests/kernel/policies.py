"""The policies that the tests' enforcer starts with, and those that instances have for themselves."""

ATTACKED = "/run/attacked"
"""Below it instances are mounted to which the policy `attacked` applies."""

SERVICE, ELSEWHERE = "the-service", "elsewhere"
"""Control groups, below the root: the one that is allowed, and one that isn't."""

ASKS_FOR_EVERYTHING = """\
version: 1
name: asks-for-everything
description: for no instance; but it has programs made that can do all that policies may ask, once for all tests
instances: /nowhere
rules:
  - id: anything-at-all
    effect: allow
    actions: [retrieve, take]
    stasher: {uid: same, userns: same-or-below}
    opener: {uid: same, userns: same-or-below}
    subject: {uid: 1, gid: 1, cgroup: /nowhere, userns: below, capabilities: [CAP_SYS_ADMIN, CAP_NET_ADMIN]}
  - id: no-more
    effect: forbid
    actions: [retrieve, take]
    unless: {opener: {capabilities: no-more-than-subject}}
"""

ONLY_THE_SERVICE = f"""\
version: 1
name: only-the-service
instances: {ATTACKED}/*
rules:
  - {{id: the-service-may-do-everything, effect: allow, actions: [all], subject: {{cgroup: /{SERVICE}}}}}
  - {{id: all-may-look, effect: allow, actions: [list, describe]}}
"""
"""What an instance keeps is the service's, and everybody may know of it (and so connect)."""

EVERYBODY = f"""\
version: 1
name: everybody
instances: {ATTACKED}/*
rules:
  - {{id: everybody, effect: allow, actions: [all]}}
"""
"""Whatever those instances keep anybody may have."""

MODE_BITS_DECIDE = """\
version: 1
name: mode-bits-decide
rules:
  - {id: everybody, effect: allow, actions: [all]}
"""
"""For servers: they would give everything to their own user, so that it is the kernel that refuses."""
