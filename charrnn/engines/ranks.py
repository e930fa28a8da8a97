"""Processes that train one model together, as torchrun starts them: rank 0 to rank size - 1.

Rank 0 leads. It alone reads the settings and the text, runs the training loop, decides, validates, writes
and prints. The others have an engine and some of the streams, and do what rank 0's engine is told to do:

    rank 0   Trainer → Leader → its own engine      order, all-reduce
    others   obey                → their engines    order, all-reduce

So no two ranks can disagree on when to stop or how fast to learn, and the loop knows nothing of ranks.
Rank r trains the streams r, r + size, r + 2 size, …; the engines sum their gradients within a step.
"""

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from charrnn.engines.backend import Backend
from charrnn.engines.signals import stop_on_signals
from charrnn.errors import CharRNNError
from charrnn.install.extras import require
from charrnn.text.batches import Chunks

if TYPE_CHECKING:
    import torch
    from torch.distributed import Store

PATIENCE = timedelta(minutes=30)  # for a rank that is silent, as rank 0 is while it validates
HEAD_START_SECONDS = 1.0  # of rank 0 at telling that a rank is lost: it knows of the checkpoint

ORDERS = ("begin", "step", "reset_state", "arrays", "restore", "end")


class RankLostError(CharRNNError):
    """Another process of the training died, or cannot be reached."""


class Ranks:
    """This process, and how it talks with the others. With one process there is nobody to talk with.

    local_rank : counts the processes of one machine
    stop_heard : whether some rank was asked to stop, as of the last `TorchBackend.step`
    """

    def __init__(
        self,
        rank: int = 0,
        size: int = 1,
        local_rank: int = 0,
        local_size: int = 1,
        store: "Store | None" = None,
    ) -> None:
        self.rank, self.size = rank, size
        self.local_rank, self.local_size = local_rank, local_size
        self.asked_to_stop: Callable[[], bool] = lambda: False
        self.stop_heard = False
        self.lost = False
        self._store = store

    def sum(self, numbers: "torch.Tensor") -> None:
        """Sum tensors over the ranks, in place."""
        if self.size > 1:
            from torch import distributed

            with self._reaching():
                distributed.all_reduce(numbers)

    def broadcast(self, value: Any = None) -> Any:
        """Rank 0's value, in every rank."""
        if self.size > 1:
            from torch import distributed

            box = [value]
            with self._reaching():
                distributed.broadcast_object_list(box)
            value = box[0]
        return value

    def gather(self, value: Any) -> list[Any]:
        """The values of all ranks, in rank 0; an empty list in the others."""
        if self.size == 1:
            return [value]
        from torch import distributed

        values = [None] * self.size if self.rank == 0 else None
        with self._reaching():
            distributed.gather_object(value, values)
        return values or []

    def barrier(self) -> None:
        """Wait until all ranks are here."""
        self.gather(None)
        self.broadcast()

    def order(self, name: str = "", chunk: int = 0, lr: float = 0.0) -> tuple[str, int, float]:
        """In rank 0: give an order. In the others: wait for one. Returns it."""
        import torch
        from torch import distributed

        numbers = torch.tensor([ORDERS.index(name) if name else 0, chunk, lr], dtype=torch.float64)
        with self._reaching():
            distributed.broadcast(numbers, 0)
        code, chunk_number, lr = numbers.tolist()
        return ORDERS[int(code)], int(chunk_number), lr

    def part(self, whole: np.ndarray) -> np.ndarray:
        """This rank's streams of the state (L, S, B, H) of all streams."""
        return whole[:, :, self.rank :: self.size]

    def whole(self, part: np.ndarray) -> np.ndarray:
        """In rank 0: the state of all streams, in their order, from every rank's part. In the others: the part."""
        parts = self.gather(part)
        L, S, _, H = part.shape
        return np.stack(parts, axis=3).reshape(L, S, -1, H) if len(parts) > 1 else part

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        """Turn a failure to reach another rank into one message: the first rank that gets to it tells it."""
        try:
            yield
        except RuntimeError as error:
            self.lost = True
            if self.rank > 0:
                time.sleep(HEAD_START_SECONDS)
            if self._told_already():
                raise SystemExit(1) from error
            # gloo's text without its own place in the source before and its good advice after.
            reason = re.sub(r"^\[\S*\] ", "", str(error)).split(". ")[0]
            advice = "" if self.rank == 0 else ". Go on from the last checkpoint with --resume"
            raise RankLostError(
                f"a process of this training died or cannot be reached, as process {self.rank} noticed: "
                f"{reason}{advice}"
            ) from error

    def _told_already(self) -> bool:
        try:
            return self._store is not None and self._store.add("told", 1) > 1
        except RuntimeError:  # torchrun, who keeps the store, is gone too
            return self.rank > 0


ALONE = Ranks()


def follows() -> bool:
    """Whether torchrun started this process to follow another one."""
    return int(os.environ.get("WORLD_SIZE", 1)) > 1 and int(os.environ.get("RANK", 0)) > 0


@contextmanager
def joined() -> Iterator[Ranks]:
    """The ranks of which torchrun made this process one; ALONE when it was started by itself.

    At the end rank 0 sends the others home.
    """
    if int(os.environ.get("WORLD_SIZE", 1)) == 1 or "RANK" not in os.environ:
        yield ALONE
        return
    with require("torch", "torchrun with several processes"):
        import torch
        import torch.distributed.nn
        from torch import distributed
    # Imported after the group was made, torch.distributed.nn would hold the group as a default argument. Its threads
    # would then live until Python shuts down, and one that lets go of a tensor there aborts the process.
    try:
        store, rank, size = next(iter(distributed.rendezvous("env://", timeout=PATIENCE)))
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        distributed.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise CharRNNError(f"the processes that torchrun started cannot find each other: {error}") from error
    local_rank, local_size = (int(os.environ.get(f"LOCAL_{name}", 0)) for name in ("RANK", "WORLD_SIZE"))
    ranks = Ranks(rank, size, local_rank, max(1, local_size), store)
    orderly = False  # otherwise this process just ends, on which the others notice that they lost it
    try:
        yield ranks
        orderly = True
    except (CharRNNError, SystemExit):
        orderly = not ranks.lost
        raise
    finally:
        if orderly:
            if rank == 0:
                ranks.order("end")
            distributed.destroy_process_group()


class Leader(Backend):
    """The engines of all ranks as one, and the chunks they are at: what rank 0's training loop works with."""

    def __init__(self, ranks: Ranks, backend: Backend, streams: Chunks) -> None:
        self.engine, self.notes = backend.engine, backend.notes
        self.batch_size, self.seq_length = streams.batch_size, streams.seq_length
        self.chunks, self.symbols = streams.chunks, streams.symbols
        self._ranks = ranks
        self._backend = backend
        self._streams = streams
        self._chunk = 0

    def targets(self, step: int) -> int:
        return self._streams.targets(step)

    def begins(self, step: int) -> bool:
        return self._streams.begins(step)

    def chunk(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        self._chunk = step
        return self._streams.chunk(step)

    def step(self, x: np.ndarray, y: np.ndarray, lr: float) -> tuple[float, float]:
        self._ranks.order("step", self._chunk, lr)
        return self._backend.step(x, y, lr)

    def reset_state(self) -> None:
        self._ranks.order("reset_state")
        self._backend.reset_state()

    def network(self) -> Any:
        return self._backend.network()

    def last(self) -> Any:
        return self._backend.last()

    def arrays(self) -> dict[str, np.ndarray]:
        self._ranks.order("arrays")
        return self._backend.arrays()

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        self._ranks.order("restore")
        self._backend.restore(self._ranks.broadcast(dict(arrays)))


def begin(ranks: Ranks, task: Any, make: Callable[[Any], tuple[Backend, Chunks]]) -> tuple[Backend, Chunks]:
    """In rank 0: have every rank make its engine and streams for a task. Returns rank 0's own.

    Raises what went wrong in whichever rank.
    """
    ranks.order("begin")
    return _made(ranks, ranks.broadcast(task), make)


def obey(ranks: Ranks, make: Callable[[Any], tuple[Backend, Chunks]]) -> None:
    """In the other ranks: do what rank 0 orders, until it ends. Signals to stop are passed on to rank 0."""
    with stop_on_signals() as ranks.asked_to_stop:
        while True:
            order, chunk, lr = ranks.order()
            match order:
                case "begin":
                    backend, streams = _made(ranks, ranks.broadcast(), make)
                case "step":
                    backend.step(*streams.chunk(chunk), lr)
                case "reset_state":
                    backend.reset_state()
                case "arrays":
                    backend.arrays()
                case "restore":
                    backend.restore(ranks.broadcast())
                case "end":
                    return


def _made(ranks: Ranks, task: Any, make: Callable[[Any], tuple[Backend, Chunks]]) -> tuple[Backend, Chunks]:
    made, problem = None, None
    try:
        made = make(task)
    except CharRNNError as error:
        problem = error
    for rank, found in enumerate(ranks.gather(problem)):
        if found is not None:
            raise type(found)(f"rank {rank}: {found}")
    if made is None:
        ranks.order()  # "end": until rank 0 has told what was wrong, it must not miss this process
        raise SystemExit(1)
    return made


@dataclass(frozen=True)
class MappedIds:
    """Where the ids of a large text lie, to be mapped by every rank: the file, and how it is read."""

    path: str
    dtype: str
    length: int

    def open(self) -> np.ndarray | None:
        """The ids; None on a machine that has no such file."""
        path = Path(self.path)
        if not path.is_file() or path.stat().st_size != self.length * np.dtype(self.dtype).itemsize:
            return None
        return np.memmap(path, self.dtype, mode="r")


def pack(ids: np.ndarray) -> "np.ndarray | MappedIds":
    """Ids as they can be sent to other ranks: themselves, or where they are mapped from."""
    if isinstance(ids, np.memmap) and ids.filename is not None:
        return MappedIds(str(Path(ids.filename).absolute()), ids.dtype.str, len(ids))
    return ids


def unpack(ranks: Ranks, ids: "np.ndarray | MappedIds", read: Callable[[], np.ndarray]) -> np.ndarray:
    """The ids that rank 0 packed; read anew on a machine that does not share rank 0's disk.

    There the first process encodes the text and the others then find it in the cache.
    """
    if not isinstance(ids, MappedIds):
        return ids
    found, problem = None, None
    for first in (True, False):
        if (ranks.local_rank == 0) == first:
            try:
                found = ids.open()
                found = read() if found is None else found
            except CharRNNError as error:  # told when all are through
                problem = error
        ranks.barrier()
    if problem is not None:
        raise problem
    assert found is not None
    return found
