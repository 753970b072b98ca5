"""Several networks fitted at once, each by a process of its own, on one core.

Networks this small gain little from a second core. And sums on one core are rounded alike on any machine: the same seed
gives the same weights, however many cores there are.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from trigger_api.training.trigger.fitting import Schedule, Share, fit
from trigger_api.training.trigger.network import Shape, training_network

Fitted = tuple[Any, list[float]]

_WORTH_A_PROCESS = 500  # steps of training; fewer are taken sooner than a process has started


@dataclass(frozen=True)
class Task:
    """A network to fit: what `fit` is called with."""

    shares: Sequence[Share]
    shape: Shape
    schedule: Schedule
    seed: int
    folder: Path
    start: Path | None = None
    frozen: int = 0

    def fitted(self, done: Callable[[float], None]) -> Fitted:
        """The network, and the loss of each epoch."""
        return fit(self.shares, self.shape, self.schedule, self.seed, self.folder, done, self.start, self.frozen)


def fit_all(tasks: Sequence[Task], done: Callable[[float], None]) -> list[Fitted]:
    """Fit every network; `done` is told each part of any that has just been trained.

    Raises:
        ChildProcessError: a process ended before its network was done.
    """
    if all(task.schedule.epochs * task.schedule.steps < _WORTH_A_PROCESS for task in tasks):
        return [task.fitted(done) for task in tasks]
    pipes = [_started(task) for task in tasks]
    weights = _awaited(pipes, done)
    return [(_network(task, weights[pipe][0]), weights[pipe][1]) for task, pipe in zip(tasks, pipes, strict=True)]


def _started(task: Task) -> Connection:
    """What the process has to say: parts of the network that are trained, then its weights and losses."""
    context = get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    context.Process(target=_work, args=(task, theirs), daemon=True).start()
    theirs.close()
    return ours


def _awaited(pipes: Sequence[Connection], done: Callable[[float], None]) -> dict[Any, Any]:
    """What each process says last."""
    last: dict[Any, Any] = {}
    while running := [pipe for pipe in pipes if pipe not in last]:
        for pipe in wait(running):
            said = _said(pipe)
            if isinstance(said, float):
                done(said)
            else:
                last[pipe] = said
    return last


def _said(pipe: Any) -> Any:
    try:
        return pipe.recv()
    except EOFError:
        raise ChildProcessError("a network's training has stopped: is there enough memory?") from None


def _work(task: Task, parent: Connection) -> None:
    """Fit a network. A parent that was killed is noticed at the next step: there is nobody to be told of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to both, and the parent knows what to do
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    with suppress(BrokenPipeError):
        network, losses = task.fitted(parent.send)
        parent.send((network.get_weights(), losses))


def _network(task: Task, weights: Sequence[Any]) -> Any:
    network = training_network(task.shape)
    network.set_weights(weights)
    return network
