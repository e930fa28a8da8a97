"""How the losses of a run went: the records of its metrics.jsonl, and the verdict on them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from charrnn.python.results import Pictured, Rows
from charrnn.runs.verdict import Verdict


@dataclass(frozen=True, repr=False)
class History(Pictured, Rows, Sequence[Mapping[str, Any]]):
    """The reports of a run, oldest first: step, epoch, losses in nats per character, learning rate and so on.

    verdict : what they say; None where too little is known of the run
    """

    records: Sequence[Mapping[str, Any]]
    verdict: Verdict | None = None

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, which: Any) -> Any:
        return self.records[which]

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return iter(self.records)

    def rows(self) -> Sequence[Mapping[str, Any]]:
        return self.records

    def __repr__(self) -> str:
        if not self.records:
            return "<History: no reports>"
        validated = sum(record["val_loss_nats"] is not None for record in self.records)
        kind = f", {self.verdict.kind}" if self.verdict else ""
        last = self.records[-1]["step"]
        return f"<History: {len(self):,} reports up to step {last:,}, {validated:,} with validation{kind}>"
