"""Where the command ``tfssl``, and ``python -m tfssl``, begin."""

import sys


def main():
    """Run the command line; Ctrl-C while its modules are imported is one line and exit 130, as it is later."""
    try:
        from tfssl.cli import main as run

        run()
    except KeyboardInterrupt:
        print("tfssl: interrupted; the same command begins anew", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
