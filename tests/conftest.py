"""For all tests: nothing may be skipped where everything is supposed to be there.

With ``MESHPROXY_REQUIRE_ALL=1`` (as CI sets it) a skipped test fails, unless its reason is one that
no set-up can mend.
"""

from __future__ import annotations

import os
import re

import pytest
from hypothesis import settings

# An example takes as long as the machine lets it: no test is about time.
settings.register_profile("meshproxy", deadline=None)
settings.load_profile("meshproxy")

# The corpus of others' cases is not part of this repository, and asks for features yet to come.
_OTHERS_CASES = re.compile(r"tests/conformance/")
_MAY_SKIP = re.compile(r"root may read everything")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):  # type: ignore[no-untyped-def]
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and _all_required():
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not _OTHERS_CASES.search(item.nodeid) and not _MAY_SKIP.search(reason):
            report.outcome = "failed"
            report.longrepr = f"skipped where everything must be there: {reason}"
    return report


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With ``-n``, a file's tests share one process, and with it what their fixtures started; all
    that touch the machine's namespaces and rules do so one after another."""
    if not config.pluginmanager.hasplugin("xdist"):
        return
    for item in items:
        file = item.nodeid.split("::")[0]
        group = "namespaces" if file.startswith("tests/netns/") else file
        item.add_marker(pytest.mark.xdist_group(group))


def _all_required() -> bool:
    return os.environ.get("MESHPROXY_REQUIRE_ALL") == "1"
