"""`python -m deploy` writes what is rendered: rules of the promises, dashboards."""

from __future__ import annotations

from . import rendered


def main() -> None:
    """Write every rendered file."""
    for path, text in rendered.files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        print(f"wrote {path.relative_to(rendered.HERE.parent)}")


if __name__ == "__main__":
    main()
