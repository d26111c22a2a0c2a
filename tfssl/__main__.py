"""``python -m tfssl``."""

from tfssl.cli import main

main()
