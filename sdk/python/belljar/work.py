"""Blocking calls for programs that wait for many things at once: each in a thread, and called off when its task is."""

from __future__ import annotations

import asyncio
import contextvars
import functools
from concurrent.futures import ThreadPoolExecutor
from typing import Any, AsyncIterator, Callable, Iterator, TypeVar, cast

from .link import SCOPE, Scope

T = TypeVar("T")
# As many as `belljar rpc` has requests in flight. They wait, and need no processor.
_threads = ThreadPoolExecutor(256, "belljar")


async def in_thread(function: Callable[..., T], *given: Any, **named: Any) -> T:
    """Does it in a thread. When the task is cancelled, what it had asked for is too, and that is waited for."""
    loop = asyncio.get_running_loop()
    scope, context = Scope(), contextvars.copy_context()
    context.run(SCOPE.set, scope)
    future = loop.run_in_executor(_threads, functools.partial(context.run, function, *given, **named))
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        await loop.run_in_executor(_threads, scope.cancel)
        await asyncio.wait([future])
        # It is of no use any more, and was asked for.
        future.exception()
        raise


async def each(pieces: Iterator[T]) -> AsyncIterator[T]:
    """What an iterator gives that waits for each piece."""
    nothing = object()

    def following() -> object:
        return next(pieces, nothing)

    while True:
        piece = await in_thread(following)
        if piece is nothing:
            return
        yield cast(T, piece)
