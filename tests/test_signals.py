"""Signals that ask a process to end."""

import signal
import threading

import pytest

from lib.signals import ASKING, Stopped, asked


@pytest.mark.parametrize("number", ASKING)
def test_the_first_signal_is_noted_and_the_second_ends(number):
    before, arrived = signal.getsignal(number), []
    signal.signal(number, lambda *_: arrived.append(number))
    try:
        with asked() as noted:
            assert noted() == 0
            signal.raise_signal(number)
            assert noted() == number and not arrived
            signal.raise_signal(number)
            assert arrived == [number] and noted() == number
        signal.raise_signal(number)
        assert arrived == [number] * 2
    finally:
        signal.signal(number, before)


def test_an_ignored_signal_stays_ignored():
    """As under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with asked() as noted:
            signal.raise_signal(signal.SIGHUP)
            assert noted() == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_handlers_are_as_they_were_after_an_error_too():
    before = [signal.getsignal(number) for number in ASKING]
    with pytest.raises(ZeroDivisionError), asked():
        assert signal.SIG_IGN in before or [signal.getsignal(number) for number in ASKING] != before
        _ = 1 / 0
    assert [signal.getsignal(number) for number in ASKING] == before


def test_another_thread_has_no_signals():
    found = []

    def wait():
        with asked() as noted:
            found.append(noted())

    thread = threading.Thread(target=wait)
    thread.start()
    thread.join()
    assert found == [0]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_status_is_the_one_of_a_shell(number, status):
    stopped = Stopped(number, "data/runs/a is kept.")
    assert stopped.status == status
    assert str(stopped) == f"Stopped by {number.name}: data/runs/a is kept."
