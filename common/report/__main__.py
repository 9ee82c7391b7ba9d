"""`python -m common.report`."""

import sys

from common.report.pages import main

if __name__ == "__main__":
    sys.exit(main())
