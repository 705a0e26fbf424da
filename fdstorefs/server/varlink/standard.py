"""`org.varlink.service`, which every Varlink service has, and its errors."""

from collections.abc import Callable
from typing import Any

from fdstorefs import __version__

STANDARD = "org.varlink.service"

DESCRIPTION = """\
# The Varlink Service Interface is provided by every varlink service. It
# describes the service and the interfaces it implements.
interface org.varlink.service

# Get a list of all the interfaces a service provides and information
# about the implementation.
method GetInfo() -> (
  vendor: string,
  product: string,
  version: string,
  url: string,
  interfaces: []string
)

# Get the description of an interface that is implemented by this service.
method GetInterfaceDescription(interface: string) -> (description: string)

# The requested interface was not found.
error InterfaceNotFound (interface: string)

# The requested method was not found
error MethodNotFound (method: string)

# The interface defines the requested method, but the service does not
# implement it.
error MethodNotImplemented (method: string)

# One of the passed parameters is invalid.
error InvalidParameter (parameter: string)

# Client is denied access
error PermissionDenied ()

# Method is expected to be called with 'more' set to true, but wasn't
error ExpectedMore ()
"""


class StandardError(Exception):
    """An error of `org.varlink.service`: `identifier` and what goes with it."""

    def __init__(self, identifier: str, **parameters: str) -> None:
        super().__init__(identifier)
        self.identifier = f"{STANDARD}.{identifier}"
        self.parameters = parameters


def interface_not_found(interface: str) -> StandardError:
    """There is no such interface here."""
    return StandardError("InterfaceNotFound", interface=interface)


def method_not_found(method: str) -> StandardError:
    """The interface is here and has no such method."""
    return StandardError("MethodNotFound", method=method)


def invalid_parameter(parameter: str) -> StandardError:
    """A parameter is missing, unknown, or of the wrong type."""
    return StandardError("InvalidParameter", parameter=parameter)


def expected_more() -> StandardError:
    """The method makes sense only with `more`."""
    return StandardError("ExpectedMore")


def info(interface: str) -> dict[str, Any]:
    """The reply of GetInfo where this interface is served, too."""
    return {
        "vendor": "The fdstorefs authors",
        "product": "fdstorefs",
        "version": __version__,
        "url": "",
        "interfaces": [STANDARD, interface],
    }


def interface_description(wanted: str, interface: str, description: Callable[[], str]) -> dict[str, Any]:
    """The reply of GetInterfaceDescription where this interface is served, too; raises InterfaceNotFound."""
    if wanted == STANDARD:
        return {"description": DESCRIPTION}
    if wanted == interface:
        return {"description": description()}
    raise interface_not_found(wanted)
