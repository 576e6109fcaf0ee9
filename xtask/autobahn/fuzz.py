"""Runs the Autobahn test suite as a client against one server; started by `cargo xtask conformance`.

Usage: fuzz.py SPEC MESSAGES

SPEC is a specification file as `wstest --mode fuzzingclient` takes it. MESSAGES is how many messages each of the
compression cases (12.* and 13.*) sends; 0 leaves the suite's own 1,000. The suite has no setting for that, but every case
is a class with a COUNT and WAITSECS, so they are changed in memory and the installed package stays as it is.

Python 2.7, as the suite itself.
"""

import re
import sys

# Chooses Twisted's reactor and has to come first.
from autobahntestsuite import wstest
from autobahntestsuite import fuzzing


def shorten(messages):
    for case in fuzzing.Cases:
        if re.match(r"Case1[23]_", case.__name__):
            case.DESCRIPTION = case.DESCRIPTION.replace("Send %d " % case.COUNT, "Send %d " % messages, 1)
            # Less to do is done sooner: a server that hangs must not take hours to fail.
            case.WAITSECS = max(10, case.WAITSECS * messages // case.COUNT)
            case.COUNT = messages


def main():
    spec, messages = sys.argv[1], int(sys.argv[2])
    if messages:
        shorten(messages)
    # wstest reads its own command line.
    sys.argv = ["wstest", "--mode", "fuzzingclient", "--spec", spec]
    wstest.run()


main()
