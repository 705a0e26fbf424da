"""The JSON Schema and the documentation are made from the record's definition; `tools/audit-reference` writes both."""

from fdstorefs.audit.schema import schema_text, tables
from tests.unit.house.source import PACKAGE, REPOSITORY


def test_the_schema_is_up_to_date() -> None:
    """The published file is what the definition says."""
    assert schema_text() == (PACKAGE / "interface" / "audit.schema.json").read_text()


def test_the_documentation_is_up_to_date() -> None:
    """So are the tables."""
    page = (REPOSITORY / "docs" / "audit.md").read_text()

    assert tables() == page.partition("<!-- record begins -->\n\n")[2].partition("\n<!-- record ends -->")[0]
