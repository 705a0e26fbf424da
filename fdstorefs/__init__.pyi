"""What the package exports, for type checkers; at run time each name is loaded when it is first asked for."""

from fdstorefs.client import aio as aio
from fdstorefs.client.records import Change as Change
from fdstorefs.client.records import Description as Description
from fdstorefs.client.records import Entry as Entry
from fdstorefs.client.records import Opener as Opener
from fdstorefs.client.records import Stasher as Stasher
from fdstorefs.client.records import Status as Status
from fdstorefs.client.retrieved import Retrieved as Retrieved
from fdstorefs.client.store import Store as Store
from fdstorefs.client.store import connect as connect
from fdstorefs.client.watch import Watch as Watch
from fdstorefs.errors import BadDescriptor as BadDescriptor
from fdstorefs.errors import Busy as Busy
from fdstorefs.errors import Denied as Denied
from fdstorefs.errors import EmptyEntry as EmptyEntry
from fdstorefs.errors import EntryExists as EntryExists
from fdstorefs.errors import InvalidArgument as InvalidArgument
from fdstorefs.errors import InvalidName as InvalidName
from fdstorefs.errors import IsABox as IsABox
from fdstorefs.errors import Loop as Loop
from fdstorefs.errors import NameTooLong as NameTooLong
from fdstorefs.errors import NoInstance as NoInstance
from fdstorefs.errors import NoSuchEntry as NoSuchEntry
from fdstorefs.errors import NoSuchProcess as NoSuchProcess
from fdstorefs.errors import NotABox as NotABox
from fdstorefs.errors import NotEmpty as NotEmpty
from fdstorefs.errors import NotGuarded as NotGuarded
from fdstorefs.errors import NotPermitted as NotPermitted
from fdstorefs.errors import NotSupported as NotSupported
from fdstorefs.errors import Overloaded as Overloaded
from fdstorefs.errors import ProtocolError as ProtocolError
from fdstorefs.errors import QuotaExceeded as QuotaExceeded
from fdstorefs.errors import StoreError as StoreError
from fdstorefs.errors import TooManyNames as TooManyNames

__version__: str
