"""``bench select``: which of one's own unlabelled images, or embeddings, to label."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.cli import _complete
from bench.cli._options import MACHINE, PLACE, CacheOption, DeviceOption, QuietOption, SummaryOption
from bench.cli._output import print_json

if TYPE_CHECKING:
    from bench.cli._stages import StageProgress
    from bench.images.folders import ImageFiles, Scan
    from bench.labelling.choose import Chosen
    from bench.labelling.images import Embedded

ITEMS, CHOICE = "What to choose from", "How to choose"
PICTURES = 100
_NAMED = 5
USUAL = "elfs"


def select(
    budget: Annotated[int, typer.Option(min=2, help="How many to label.", rich_help_panel=CHOICE)],
    classes: Annotated[
        int,
        typer.Option(
            min=2,
            help="About how many classes there are. Too many does less harm than too few.",
            rich_help_panel=CHOICE,
        ),
    ],
    images: Annotated[
        Path | None,
        typer.Option(help="Folder of JPEG, PNG or WebP files, flat or nested.", rich_help_panel=ITEMS),
    ] = None,
    embeddings: Annotated[
        Path | None,
        typer.Option(help=".npy of numbers [N, D]: text, audio, tables, images.", rich_help_panel=ITEMS),
    ] = None,
    encoder: Annotated[
        str,
        typer.Option(
            help="Of --images; NAME(weights=FILE) takes a local file.",
            autocompletion=_complete.one_of("encoders"),
            rich_help_panel=ITEMS,
        ),
    ] = "dino_vits16",
    image_size: Annotated[
        int, typer.Option(min=16, max=1024, help="Pixels that the short side is scaled to.", rich_help_panel=ITEMS)
    ] = 224,
    method: Annotated[
        str,
        typer.Option(
            help="A label-free method, with parameters.", autocompletion=_complete.label_free, rich_help_panel=CHOICE
        ),
    ] = USUAL,
    compare: Annotated[
        bool,
        typer.Option(
            "--compare",
            help="Let several methods choose (--method names them, comma-separated), print how good each choice is "
            "judged to be, and write the best.",
            rich_help_panel=CHOICE,
        ),
    ] = False,
    skip_duplicates: Annotated[
        bool, typer.Option("--skip-duplicates", help="Keep near-duplicates out.", rich_help_panel=CHOICE)
    ] = False,
    similarity: Annotated[
        float,
        typer.Option(min=0.5, max=1.0, help="Cosine similarity of near-duplicates.", rich_help_panel=CHOICE),
    ] = 0.98,
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.", rich_help_panel=CHOICE)] = 0,
    out: Annotated[
        Path, typer.Option(help="CSV to write; a contact sheet and a list of skipped files lie beside it.")
    ] = Path("to_label.csv"),
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what is in the place of these files.")
    ] = False,
    cache_dir: CacheOption = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch missing weights.", rich_help_panel=PLACE)] = False,
    device: DeviceOption = "auto",
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads. Default: all.", rich_help_panel=MACHINE)
    ] = None,
    quiet: QuietOption = False,
    json_output: SummaryOption = False,
) -> None:
    """Choose which of your own unlabelled images to label, without a single label.

    Writes the file names in the order to label: whoever stops early still has a varied set. The same command again
    goes on where it was interrupted. Exit code: 0 done, 2 bad input, 130 interrupted.
    """
    import os

    from bench.calls import parse_call
    from bench.cli._stages import StageProgress
    from bench.engine.plan import check_cache, check_writable
    from bench.errors import SpecError
    from bench.labelling.choose import check_method
    from bench.labelling.compared import comparing
    from bench.labelling.images import find_images
    from bench.labelling.to_label import beside, check_free
    from bench.labelling.vectors import read_embeddings

    if (images is None) == (embeddings is None):
        raise SpecError("give either --images FOLDER or --embeddings FILE.npy.")
    if out.suffix.lower() != ".csv":
        raise SpecError(f"--out {out} is not valid: a .csv file is written, such as {out.with_suffix('.csv')}.")
    check_free(out, overwrite=overwrite)
    call = comparing(method, USUAL) if compare else parse_call(method)
    started = time.perf_counter()
    scan = None if images is None else find_images(images)
    files = None if scan is None else scan.files
    vectors = None if embeddings is None else read_embeddings(embeddings)
    total = len(files) if files is not None else len(vectors)  # type: ignore[arg-type]
    check_method(call, budget=budget, items=total, classes=classes)
    own = [path.resolve() for path in (out, *beside(out))]
    others = {} if scan is None else {"other_files": dict(sorted(scan.other_suffixes(without=own).items()))}
    check_writable(out.resolve().parent)
    from bench.engine.start import pick_device
    from bench.store.folder import cache_folder

    cache = cache_folder(cache_dir)
    check_cache(cache)
    from bench.labelling.choose import choose
    from bench.store.cache import Store
    from bench.training.precision import prepare_torch

    used, threads = pick_device(device), threads or os.cpu_count() or 1
    prepare_torch(threads)
    store = Store(cache)
    embedded: Embedded | None = None
    left_out = ""
    with ExitStack() as stack:
        progress = stack.enter_context(StageProgress(quiet=quiet))
        if scan is not None:
            embedded = _embed(scan, encoder, store, image_size, used, download, progress)
            vectors = embedded.embeddings
            left_out = _unread(embedded, len(vectors))
        assert vectors is not None
        chosen = choose(
            vectors,
            call,
            budget=budget,
            classes=classes,
            seed=seed,
            similarity=similarity if skip_duplicates else None,
            cache=cache,
            device=used,
            threads=threads,
            begin=progress.stage,
            left_out=left_out,
        )
    summary = _write(out, chosen, files, embedded, len(vectors), overwrite=overwrite)
    _report({**summary, **others, "seconds": round(time.perf_counter() - started, 1)}, json_output)


def _embed(
    scan: Scan, name: str, store: Any, size: int, device: str, download: bool, progress: StageProgress
) -> Embedded:
    from bench.calls import parse_call
    from bench.engine.plan import find_encoder
    from bench.labelling.images import embed_files

    ref, weights = find_encoder(parse_call(name), download, needed=True)
    embedded = embed_files(scan.files, ref, weights, store=store, size=size, device=device, stage=progress.stage)
    return embedded._replace(skipped=tuple(sorted(embedded.skipped + scan.skipped)))


def _unread(embedded: Embedded, read: int) -> str:
    """What an error about the budget says of files that were skipped; nothing is written when it is refused."""
    names = [item.name for item in embedded.skipped]
    if not names:
        return ""
    listed = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    return f"of {read + len(names)} files {len(names)} could not be read ({listed}); "


def _write_skipped(out: Path, embedded: Embedded) -> dict[str, Any]:
    """Write the list of skipped files in the place of an earlier one; return what there is to say."""
    from bench.labelling.to_label import beside
    from bench.results.sheets import to_csv, write_bytes

    _, skipped = beside(out)
    skipped.unlink(missing_ok=True)
    if not embedded.skipped:
        return {}
    lines = [{"file": item.name, "reason": item.reason} for item in embedded.skipped]
    write_bytes(skipped, to_csv(lines).encode("utf-8", "surrogateescape"))
    return {"skipped_files": len(lines), "skipped": str(skipped)}


def _write(
    out: Path, chosen: Chosen, files: ImageFiles | None, embedded: Embedded | None, total: int, *, overwrite: bool
) -> dict[str, Any]:
    """Write the CSV and what lies beside it; return what there is to say."""
    from bench.labelling.sheet import contact_sheet
    from bench.labelling.to_label import beside, check_free, records
    from bench.results.sheets import to_csv, write_bytes

    positions = chosen.positions if embedded is None else embedded.positions[chosen.positions]
    names = [str(position) if files is None else files.names[position] for position in positions.tolist()]
    listed = records(chosen, names, "item" if files is None else "file")
    check_free(out, overwrite=overwrite)  # again: much may have happened meanwhile
    write_bytes(out, to_csv(listed).encode("utf-8", "surrogateescape"))
    summary: dict[str, Any] = {
        "to_label": str(out),
        "budget": len(listed),
        "items": total,
        "method": chosen.variant,
        "chosen": dict(chosen.chosen),
        "judged": dict(chosen.judged),
        "taken": chosen.taken,
        "clusters": len(set(chosen.clusters.tolist())),
        "duplicates_left_out": chosen.duplicates,
        "skipped_files": 0,
    }
    if files is None or embedded is None:
        return summary
    summary |= _write_skipped(out, embedded)
    captions = [f"{number + 1}: {Path(name).name}" for number, name in enumerate(names[:PICTURES])]
    sheet, _ = beside(out)
    write_bytes(sheet, contact_sheet(files, positions[:PICTURES].tolist(), captions))
    return {**summary, "contact_sheet": str(sheet)}


def _report(summary: dict[str, Any], as_json: bool) -> None:
    from bench.quantities import counted

    if as_json:
        print_json(summary)
        return
    parameters = "".join(f", {name} = {value:g}" for name, value in summary["chosen"].items())
    typer.echo(
        f"{summary['budget']:,} of {summary['items']:,} items chosen by {summary['method']}{parameters}, from "
        f"{counted(summary['clusters'], 'cluster')}."
    )
    if summary["judged"]:
        from bench.labelling.compared import leaderboard

        for line in leaderboard(summary["judged"], summary["taken"]):
            typer.echo(line)
    if "beta" in summary["chosen"]:
        typer.echo(
            "beta was chosen without labels. Where that was measured, the coreset was no better than a random one "
            "(docs/choose-images-to-label.md); --method random chooses at random."
        )
    if summary["duplicates_left_out"]:
        typer.echo(f"Near-duplicates left out: {summary['duplicates_left_out']:,}.")
    if summary["skipped_files"]:
        typer.echo(f"Files that could not be read: {summary['skipped_files']:,}, listed in {summary['skipped']}")
    if summary.get("other_files"):
        from bench.images.folders import SUFFIXES

        listed = ", ".join(
            f"{count:,} {suffix or 'without suffix'}" for suffix, count in summary["other_files"].items()
        )
        typer.echo(f"Files of other kinds, which were not looked at: {listed}. Images are {', '.join(SUFFIXES)}.")
    typer.echo(
        f"Written: {summary['to_label']}" + (f", {summary['contact_sheet']}" if "contact_sheet" in summary else "")
    )
