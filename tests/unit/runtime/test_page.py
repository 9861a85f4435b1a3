"""Counts that are true over all workers."""

from __future__ import annotations

import os

from meshproxy.runtime.page import ROWS, Column, Page, PageLimits, new_page


def test_a_limit_holds_over_all_rows() -> None:
    page = Page(new_page())
    workers = [PageLimits(page, row) for row in (0, 1)]
    assert [worker.connection_opened(3) for worker in workers * 2] == [True, True, True, False]
    assert page.total(Column.CONNECTIONS) == 3
    workers[0].connection_closed()
    assert workers[1].connection_opened(3)


def test_no_limit() -> None:
    limits = PageLimits(Page(new_page()), 0)
    assert all(limits.connection_opened(0) for _ in range(1000))


def test_a_dead_workers_row_is_given_back() -> None:
    page = Page(new_page())
    dead, alive = PageLimits(page, 0), PageLimits(page, 1)
    assert dead.connection_opened(2)
    assert dead.connection_opened(2)
    assert not alive.connection_opened(2)
    page.clear(0)
    assert alive.connection_opened(2)
    assert page.total(Column.CONNECTIONS) == 1


def test_all_processes_see_the_same() -> None:
    fd = new_page()
    page = Page(fd)
    child = os.fork()
    if child == 0:
        Page(fd).row(ROWS - 1)[Column.HEARTBEAT] = 77
        os._exit(0)
    os.waitpid(child, 0)
    assert page.row(ROWS - 1)[Column.HEARTBEAT] == 77
