"""The rows of a run with the machine they were measured on, kept in a file as they come."""

import json
import platform
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from duplex_kernels.bench.case import Setting
from duplex_kernels.bench.roofline import Roofline, measure
from duplex_kernels.bench.table import NOT_MEASURED, Row
from duplex_kernels.bench.timing import Time

_NO_GPU = "Triton's interpreter on a CPU, no figures of performance"


@dataclass
class Report:
    """What one benchmark run has found so far."""

    machine: str
    versions: dict[str, str]
    roofline: Roofline
    file: Path | None
    rows: list[Row] = field(default_factory=list)

    @staticmethod
    def begin(setting: Setting, folder: Path | None) -> "Report":
        """A new report, or the one in ``folder`` if the same machine and versions made it."""
        machine = _NO_GPU if setting.small else torch.cuda.get_device_name(setting.device)
        versions = {
            "torch": torch.__version__,
            "triton": version("triton"),
            "python": platform.python_version(),
        }
        file = None if folder is None else folder / "results.json"
        if file is not None and file.exists():
            saved = json.loads(file.read_text())
            if saved["machine"] == machine and saved["versions"] == versions:
                rows = [_row(entry) for entry in saved["rows"]]
                return Report(machine, versions, Roofline(**saved["roofline"]), file, rows)
        roofline = Roofline() if setting.small else measure(setting.device)
        return Report(machine, versions, roofline, file)

    def has(self, table: str, shape: str) -> bool:
        """Whether that case was run; one that failed is run again."""
        return any((row.table, row.shape, row.error) == (table, shape, None) for row in self.rows)

    def add(self, row: Row) -> None:
        """Put the row in the place of an earlier one of the same case, and save the report."""
        self.rows = [r for r in self.rows if (r.table, r.shape) != (row.table, row.shape)] + [row]
        if self.file is None:
            return
        self.file.parent.mkdir(parents=True, exist_ok=True)
        whole = {
            "machine": self.machine,
            "versions": self.versions,
            "roofline": asdict(self.roofline),
            "rows": [row.as_json() for row in self.rows],
        }
        part = self.file.with_suffix(".part")
        part.write_text(json.dumps(whole, indent=1))
        part.replace(self.file)

    def tables(self) -> list[str]:
        """Names of the tables, in the order in which they came."""
        return list(dict.fromkeys(row.table for row in self.rows))

    def head(self) -> str:
        """The machine, in lines."""
        moved, done = self.roofline.bytes_per_second, self.roofline.operations_per_second
        return "\n".join(
            [
                f"machine: {self.machine}",
                *(f"{name}: {found}" for name, found in self.versions.items()),
                f"copy: {NOT_MEASURED if moved is None else f'{moved / 1e12:.2f} TB/s'}",
                f"product: {NOT_MEASURED if done is None else f'{done / 1e12:.0f} TFLOP/s'}",
            ]
        )


def _row(entry: dict[str, Any]) -> Row:
    values = {f.name: entry[f.name] for f in fields(Row)}
    if values["ours"] is not None:
        values["ours"] = Time(**values["ours"])
    values["peers"] = {name: Time(**found) for name, found in values["peers"].items()}
    return Row(**values)
