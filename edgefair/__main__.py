"""`python -m edgefair`: the same as the script."""

from edgefair.cli import main

main()
