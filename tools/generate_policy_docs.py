"""Write what is made from the definitions of the policy language: the reference and the JSON Schema.

.venv/bin/python -m tools.generate_policy_docs
"""

from pathlib import Path

from fdstorefs.policy import reference, schema

REPOSITORY = Path(__file__).resolve().parent.parent

GENERATED = {
    "docs/policy/reference.md": reference.text,
    "fdstorefs/interface/policy.schema.json": schema.text,
}


def main() -> None:
    """Write them all."""
    for name, text in GENERATED.items():
        (REPOSITORY / name).write_text(text())
        print(f"wrote {name}")


if __name__ == "__main__":
    main()
