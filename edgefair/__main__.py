"""`python -m edgefair`: the same as the script."""

from edgefair.cli.app import main

main()
