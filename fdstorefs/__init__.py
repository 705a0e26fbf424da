"""A file system that keeps open files under names."""

__version__ = "0.1.0"

# What the package exports is loaded when it is first asked for: most commands, and every server, need
# little of it.
_CLIENT = {
    "Change": "records",
    "Description": "records",
    "Entry": "records",
    "Opener": "records",
    "Retrieved": "retrieved",
    "Stasher": "records",
    "Status": "records",
    "Store": "store",
    "Watch": "watch",
    "connect": "store",
}
_ERRORS = (
    "BadDescriptor",
    "Busy",
    "Denied",
    "EmptyEntry",
    "EntryExists",
    "InvalidArgument",
    "InvalidName",
    "IsABox",
    "Loop",
    "NameTooLong",
    "NoInstance",
    "NoSuchEntry",
    "NoSuchProcess",
    "NotABox",
    "NotEmpty",
    "NotGuarded",
    "NotPermitted",
    "NotSupported",
    "Overloaded",
    "ProtocolError",
    "QuotaExceeded",
    "StoreError",
    "TooManyNames",
)

__all__ = ["__version__", "aio", *_CLIENT, *_ERRORS]  # noqa: PLE0604 (computed; types are in __init__.pyi)


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name == "aio":
        found: object = import_module("fdstorefs.client.aio")
    elif name in _CLIENT:
        found = getattr(import_module(f"fdstorefs.client.{_CLIENT[name]}"), name)
    elif name in _ERRORS:
        found = getattr(import_module("fdstorefs.errors"), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
