"""Signals are noticed at chosen places."""

from __future__ import annotations

import os
import signal

import pytest

from meshproxy.demo.interrupt import Interrupt, Interrupted


def test_a_signal_is_noted_and_ends_the_next_wait() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupt() as interrupt:
        interrupt.check()
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(Interrupted):
            interrupt.sleep(60)
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_ways_to_end_a_program_are_the_same(number: signal.Signals) -> None:
    with Interrupt() as interrupt:
        os.kill(os.getpid(), number)
        with pytest.raises(Interrupted):
            interrupt.check()


def test_signals_can_be_held_off() -> None:
    with Interrupt() as interrupt:
        with interrupt.held_off():
            signal.raise_signal(signal.SIGINT)  # to this thread: others hold nothing off
            assert not interrupt.asked
        assert interrupt.asked


def test_waiting_for_a_condition() -> None:
    with Interrupt() as interrupt:
        assert interrupt.wait(lambda: True, 60)
        assert not interrupt.wait(lambda: False, 0)
