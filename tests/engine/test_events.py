"""Events of a run, passed on to several listeners."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from bench.engine.events import Listener, Several


def test_every_event_reaches_every_listener_in_order() -> None:
    heard: list[tuple[str, str, tuple[Any, ...], dict[str, Any]]] = []

    def listener(who: str) -> Listener:
        def hears(event: str) -> Callable[..., None]:
            return lambda self, *args, **keywords: heard.append((who, event, args, keywords))

        return type("Hearing", (Listener,), {event: hears(event) for event in events})()

    events = [name for name in vars(Listener) if not name.startswith("_")]
    assert {"stages_begin", "cell_end", "note"} <= set(events)
    several = Several(listener("first"), listener("second"))
    for event in events:
        parameters = list(inspect.signature(getattr(Listener, event)).parameters.values())[1:]
        args = [item.name for item in parameters if item.kind is not item.KEYWORD_ONLY]
        keywords = {item.name: True for item in parameters if item.kind is item.KEYWORD_ONLY}
        getattr(several, event)(*args, **keywords)
        assert heard[-2:] == [(who, event, tuple(args), keywords) for who in ("first", "second")]
    assert len(heard) == 2 * len(events)
