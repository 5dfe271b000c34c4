"""The files that ``bench select`` writes, and their options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from bench.cli import _complete
from bench.cli._choice_report import complement, headline
from bench.labelling.formats import FORMATS, Format

if TYPE_CHECKING:
    from bench.labelling.candidates import Limits
    from bench.labelling.choose import Chosen
    from bench.labelling.sources import Items, Source

_ON_SHEET = 100
"""The most pictures on a contact sheet."""


@dataclass(frozen=True)
class OutputOptions:
    """The files to write, and whether they may replace existing ones."""

    panel: ClassVar[str] = "Output"

    out: Annotated[
        Path,
        typer.Option(
            help="CSV file to write; a page, a contact sheet and a list of skipped files, if any, go beside it."
        ),
    ] = Path("to_label.csv")
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing output files.")] = False
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            help=f"Formats to write for labelling tools beside the CSV, comma-separated: {', '.join(FORMATS)}.",
            autocompletion=_complete.several("choices"),
        ),
    ] = Format.csv.value
    paths: Annotated[
        str | None,
        typer.Option(help="Paths in the files of --format: relative, absolute, or a prefix such as a URL."),
    ] = None
    scores: Annotated[
        Path | None,
        typer.Option(
            help="CSV or Parquet file to write with every item and what became of it, such as chosen or labelled."
        ),
    ] = None

    def tools(self) -> dict[Format, Path]:
        """Return the files for labelling tools, by format."""
        from bench.labelling.handover import handover_path, parse_formats

        return {form: handover_path(self.out, form) for form in parse_formats(self.formats)}

    def files(self) -> list[Path]:
        """Return all files that may be written."""
        from bench.labelling.to_label import beside

        scores = [] if self.scores is None else [self.scores]
        return [self.out, *beside(self.out), *scores, *self.tools().values()]

    def check(self, read: Mapping[str, str | None], *, files: bool) -> None:
        """Refuse output names that are not valid, exist already, or are also input files (``read``, by option)."""
        from bench.errors import SpecError
        from bench.labelling.handover import check_handover
        from bench.labelling.to_label import TABLES, check_apart, check_free

        if self.out.suffix.lower() != ".csv":
            better = self.out.with_suffix(".csv")
            raise SpecError(f"--out {self.out} is not valid: a .csv file is written, such as {better}.")
        if self.scores is not None and self.scores.suffix.lower() not in TABLES:
            raise SpecError(f"--scores {self.scores} is not valid: a {' or '.join(TABLES)} file is written.")
        check_handover(tuple(self.tools()), self.paths, files=files)
        check_apart(self.files(), read)
        check_free(self.files(), overwrite=self.overwrite)

    def check_pictures(self, source: Source) -> None:
        """Refuse to replace one of the pictures, which ``--overwrite`` would otherwise lose."""
        from bench.errors import SpecError

        pictures = None if source.root is None else source.lookup()
        for path in self.files():
            if pictures is not None and pictures.find(str(path.resolve())) is not None:
                raise SpecError(f"{path} would replace one of the images; give --out another name.")

    def write(
        self, chosen: Chosen, items: Items, limits: Limits, unlabelled: int, bucket: str | None
    ) -> dict[str, Any]:
        """Write the CSV and the files beside it; return a summary.

        Args:
            chosen: the choice.
            items: the items that it was made from.
            limits: the limits of the choice.
            unlabelled: number of lines of the labelled list that did not count, since they have no label.
            bucket: address of the folder that the pictures were fetched from; None for local pictures.
        """
        from bench.labelling.contact_sheet import contact_sheet, thumbnails
        from bench.labelling.handover import handover
        from bench.labelling.page import PICTURES, choice_page, map_of
        from bench.labelling.to_label import all_records, beside, check_free, list_csv, records, write_table
        from bench.results.rendering import to_csv, write_bytes

        listed = records(chosen, items.names, items.named)
        pictures = None if items.files is None else items.files.take(chosen.positions)
        handed = {path: handover(form, listed, pictures, self.paths, bucket) for form, path in self.tools().items()}
        check_free(self.files(), overwrite=self.overwrite)  # again, since the choice may have taken hours
        write_bytes(self.out, list_csv(listed, items.named))
        summary: dict[str, Any] = {
            "to_label": str(self.out),
            "budget": len(listed),
            "items": len(items.names),
            "method": chosen.variant,
            "chosen": dict(chosen.chosen),
            "judged": dict(chosen.judged),
            "taken": chosen.taken,
            **_spread(chosen, limits),
            "duplicates_left_out": len(chosen.duplicates),
            "grouped_left_out": len(chosen.grouped),
            "skipped_files": len(items.skipped),
            "approximate_neighbors": chosen.approximate,
            "warnings": list(chosen.warnings),
            "labelled": len(limits.labelled),
            "listed_without_label": unlabelled,
        }
        if handed:
            summary["handed_over"] = [str(write_bytes(path, content)) for path, content in handed.items()]
        if self.scores is not None:
            write_table(self.scores, all_records(chosen, items.vectors, limits, items.names, items.named))
            summary["scores"] = str(self.scores)
        sheet, skipped, page = beside(self.out)
        # The list of an earlier choice; this one may have skipped nothing, and then writes none.
        skipped.unlink(missing_ok=True)
        if items.skipped:
            lines = [{"file": item.name, "reason": item.reason} for item in items.skipped]
            summary["skipped"] = str(write_bytes(skipped, to_csv(lines).encode("utf-8", "surrogateescape")))
        small = [] if pictures is None else thumbnails(pictures, min(PICTURES, len(pictures)))
        if pictures is not None:
            captions = [f"{number}: {Path(name).name}" for number, name in enumerate(pictures.names[:_ON_SHEET], 1)]
            summary["contact_sheet"] = str(write_bytes(sheet, contact_sheet(small[:_ON_SHEET], captions)))
        drawing = map_of(items.vectors, chosen.positions, limits.labelled)
        left_out = [
            ("Near-duplicates left out", [items.names[position] for position in chosen.duplicates.tolist()]),
            ("Left out by --per-group", [items.names[position] for position in chosen.grouped.tolist()]),
        ]
        about = f"{headline(summary)} {complement(summary)}".rstrip()
        html = choice_page(about, chosen.warnings, listed, small, drawing, left_out, items.skipped)
        # On the page, for people, bytes of a file name that are not UTF-8 become question marks; the CSV keeps them.
        summary["page"] = str(write_bytes(page, html.encode("utf-8", "replace")))
        return summary


def _spread(chosen: Chosen, limits: Limits) -> dict[str, int | None]:
    """Return the numbers of clusters: of the choice, in total, and with the labelled items; and of whole groups."""
    import numpy as np

    whole = limits.groups is not None and limits.per_group is None
    groups = len(np.unique(limits.groups[chosen.positions])) if whole and limits.groups is not None else None
    if chosen.clusters is None:
        return {"clusters": None, "clusters_in_all": None, "clusters_with_labelled": None, "whole_groups": groups}
    both = np.concatenate([chosen.positions, limits.labelled])
    parts = (chosen.clusters[chosen.positions], chosen.clusters, chosen.clusters[both])
    # -1 is an item that was left out before the clustering.
    of_choice, in_total, with_labelled = (len(np.unique(part[part >= 0])) for part in parts)
    return {
        "clusters": of_choice,
        "clusters_in_all": in_total,
        "clusters_with_labelled": with_labelled,
        "whole_groups": groups,
    }
