"""What the Python checks share: a line for each check, and an end at the first that fails."""

import os
import sys
import traceback
from contextlib import contextmanager

DSN = os.environ["TENANTRY_DSN"]

# What is going to happen happens within this many seconds, or not at all.
PATIENCE = 60


@contextmanager
def check(what):
    try:
        yield
    except BaseException:
        traceback.print_exc()
        print(f"FAILED: {what}", file=sys.stderr)
        sys.exit(1)
    print(f"ok: {what}")


def same(expected, actual):
    if expected != actual:
        raise AssertionError(f"expected {expected!r:.300}, got {actual!r:.300}")
