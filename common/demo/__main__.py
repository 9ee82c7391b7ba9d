"""`python -m common.demo`."""

import sys

from common.demo.app import main

if __name__ == "__main__":
    sys.exit(main())
