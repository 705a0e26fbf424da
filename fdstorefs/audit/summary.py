"""A record in one sentence, and how much it matters: for journal and syslog, which want both."""

from collections.abc import Mapping
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

from fdstorefs.audit.record import VERDICT, Event

ERROR, WARNING, NOTICE, INFO = 3, 4, 5, 6
"""Priorities as syslog(3) numbers them."""

_PRIORITIES: dict[str, int] = {
    Event.AUDIT_LOST: ERROR,
    Event.POLICY_REJECT: ERROR,
    Event.DETACH: WARNING,
    Event.POLICY_LOAD: NOTICE,
    Event.MODE_CHANGE: NOTICE,
    Event.ATTACH: NOTICE,
}


def priority(record: Mapping[str, Any]) -> int:
    """How much a record matters: a denial is a warning, also one that a monitoring policy would have made."""
    if record["type"] != VERDICT:
        return _PRIORITIES.get(record["type"], INFO)
    return WARNING if "deny" in (record["verdict"], record["decided"]) else INFO


def sentence(record: Mapping[str, Any]) -> str:
    """The record for people. Strings in it are quoted as in the record: no name can look like more than a name."""
    if record["type"] != VERDICT:
        return f"{record['type']} at {quoted(record['instance'])}"
    subject = record["subject"]
    who = f"uid {subject['uid']}, pid {subject['pid']}"
    program = f" ({quoted(subject['comm'])})" if "comm" in subject else ""
    why = ", ".join(record["rules"]) or record["reason"]
    return (
        f"{record['verdict']} {record['action']} {quoted(record['entry']['name'])} to {who}{program}: {why}"
    )
