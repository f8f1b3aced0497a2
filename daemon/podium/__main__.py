"""`podium` and `python -m podium`."""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    from podium.cli.main import cli

    cli()


if __name__ == "__main__":
    main()
