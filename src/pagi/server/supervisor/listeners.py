"""`Listeners`: the sockets that all workers accept from.

All accept from the same, except from TCP listeners with ``reuseport``: of those each worker has its
own, among which the kernel distributes new connections. They outlive their worker, so what waits in
one is served by its replacement.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing

from pagi.server.config import Config
from pagi.server.worker.activation import Inherited
from pagi.server.worker.predecessor import Handed
from pagi.server.worker.process import bind_all, describe_places, is_admin
from pagi.server.worker.sockets import BoundSocket, bind_beside

__all__ = ["Listeners"]


class Listeners:
    """Opens the listeners of every worker, or none.

    Args:
        config: the whole configuration.
        inherited: sockets that another program opened.

    Raises:
        StartError: one cannot be opened.
    """

    def __init__(self, config: Config, inherited: Inherited | None = None) -> None:
        self._backlog = config.listening.backlog
        self._inherited = inherited or Inherited()
        bound = bind_all(config, inherited)
        #: Those of the admin process, which no worker accepts from.
        self.admin = [each for each in bound if is_admin(each)]
        self._sets = [[each for each in bound if not is_admin(each)]]
        try:
            self.provide(config.process.count)
        except BaseException:
            self.close()
            raise
        finally:
            self._inherited.close()

    @property
    def text(self) -> str:
        """Where they listen, for people."""
        return describe_places(self._sets[0])

    def provide(self, count: int) -> None:
        """See that there are listeners for ``count`` workers. Raises StartError."""
        while len(self._sets) < count:
            with ExitStack() as opened:
                number = len(self._sets) + 1
                own = [
                    opened.enter_context(closing(self._beside(bound, number)))
                    if bound.shared
                    else bound
                    for bound in self._sets[0]
                ]
                opened.pop_all()
            self._sets.append(own)

    def _beside(self, bound: BoundSocket, number: int) -> BoundSocket:
        found = self._inherited.claim_for(number, str(bound.listen))
        if found is None:
            return bind_beside(bound, self._backlog)
        found.listen, found.scheme = bound.listen, bound.scheme
        return found

    def handed(self) -> list[Handed]:
        """Return what a successor gets: all of them."""
        firsts = [(1, bound) for bound in (*self._sets[0], *self.admin)]
        others = [
            (number, bound)
            for number, own in enumerate(self._sets[1:], 2)
            for bound in own
            if bound.shared
        ]
        return [
            Handed(bound.sock.fileno(), number, str(bound.listen), bound.owned_path)
            for number, bound in firsts + others
        ]

    def disown(self) -> None:
        """Leave the files of sockets to a successor."""
        for bound in (*self._sets[0], *self.admin):
            bound.disown()

    def of(self, number: int) -> list[BoundSocket]:
        """Return those of worker ``number``: 1, 2, …."""
        return self._sets[number - 1]

    def close(self, *, but: Sequence[BoundSocket] = ()) -> None:
        """Close all, except those that a worker serves."""
        for bound in {bound for own in (*self._sets, self.admin) for bound in own}.difference(but):
            bound.close()
