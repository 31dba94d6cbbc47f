"""Processes that are killed end without a word of their own."""

import threading

from sklearn_lvm.compare.workers import _thread_errors_ignored


def failing(name):
    thread = threading.Thread(target=lambda: {}[1], name=name)
    thread.start()
    thread.join()


def test_errors_of_other_threads_are_reported(monkeypatch):
    seen = []
    monkeypatch.setattr(threading, "excepthook", lambda error: seen.append(error.thread.name))
    with _thread_errors_ignored("manager"):
        failing("manager")
        failing("other")
    failing("manager")
    assert seen == ["other", "manager"]
