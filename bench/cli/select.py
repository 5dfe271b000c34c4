"""``bench select``: choose which of your own unlabelled images, or embeddings, to label."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from bench.addresses import address_of
from bench.cli import _complete
from bench.cli._choice_files import OutputOptions
from bench.cli._choice_report import report
from bench.cli._fields import option, spread
from bench.cli._options import MACHINE, CacheOption, DeviceOption, PluginOption, QuietOption, SummaryOption
from bench.fields import FolderFields
from bench.units import some_of

if TYPE_CHECKING:
    from bench.grammar import Call
    from bench.identity import EncoderRef
    from bench.images.folders import Skipped
    from bench.labelling.candidates import Limits
    from bench.labelling.sources import Items, Source

PATH = "<path>"
"""Placeholder in ``--help`` for a path or an address, which is read as text: a ``Path`` would join its two slashes."""
_NAMED = 5
USUAL = "default"
ENCODER, IMAGE_SIZE = "dino_vits16", 224
SIMILARITY = 0.98
"""Default cosine similarity of near-duplicates."""


@dataclass(frozen=True)
class ChoiceOptions:
    """The number of items to choose, and how to choose them."""

    panel: ClassVar[str] = "How to choose"

    budget: Annotated[int, typer.Option(min=2, help="Number of items to choose for labelling.")]
    classes: Annotated[
        int,
        typer.Option(min=2, help="Rough number of classes; too high does less harm than too low."),
    ]
    method: Annotated[
        str,
        typer.Option(
            help="Label-free method, with parameters if you like; 'default' is kmeans-sampling, and maxherding for "
            "more than 20,000 items.",
            autocompletion=_complete.label_free,
        ),
    ] = USUAL
    compare: Annotated[
        bool,
        typer.Option(
            "--compare",
            help="Let several methods choose (comma-separated in --method), print how good a label-free judge finds "
            "each choice, and write the best.",
        ),
    ] = False
    skip_duplicates: Annotated[bool, typer.Option("--skip-duplicates", help="Leave out near-duplicates.")] = False
    similarity: Annotated[
        float | None,
        typer.Option(min=0.5, max=1.0, help=f"Lowest cosine similarity of near-duplicates. Default: {SIMILARITY}."),
    ] = None
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 0

    def least_similarity(self) -> float | None:
        """Return the similarity from which items are left out as near-duplicates; None keeps all items."""
        from bench.errors import SpecError

        if self.similarity is not None and not self.skip_duplicates:
            raise SpecError(f"--similarity {self.similarity} has no effect without --skip-duplicates; add that.")
        return (self.similarity or SIMILARITY) if self.skip_duplicates else None

    def check(self) -> None:
        """Refuse methods that are not valid whatever the items are, before remote files are fetched."""
        from bench.errors import SpecError
        from bench.grammar import split_list
        from bench.labelling.choose import check_label_free
        from bench.labelling.default import find_method

        methods = split_list(self.method)
        if len(methods) > 1 and not self.compare:
            raise SpecError(f"--method {self.method} names {len(methods)} methods; give one, or add --compare.")
        for method in methods:
            check_label_free(find_method(method, items=self.budget))

    def call(self, items: int) -> Call:
        """Return the method, checked against the number of items before any work."""
        from bench.labelling.choose import check_request
        from bench.labelling.compared import comparing
        from bench.labelling.default import find_method

        find = partial(find_method, items=items)
        method = comparing(self.method, USUAL, find) if self.compare else find(self.method)
        check_request(method, budget=self.budget, items=items, classes=self.classes)
        return method


@dataclass(frozen=True)
class ItemOptions:
    """The items to choose from."""

    panel: ClassVar[str] = "What to choose from"

    images: Annotated[
        str | None,
        typer.Option(
            metavar=PATH,
            help="Folder of JPEG, PNG, WebP or HEIC files, flat or nested; or s3://BUCKET/FOLDER, gs://...",
        ),
    ] = None
    fps: Annotated[
        float | None,
        typer.Option(help="Pictures per second to take from videos; --images is then a folder of videos."),
    ] = None
    embeddings: Annotated[
        str | None,
        typer.Option(
            metavar=PATH, help="File of embeddings [N, D]: .npy, .npz or .parquet; can be at an address such as s3://."
        ),
    ] = None
    names: Annotated[
        str | None,
        typer.Option(
            metavar=PATH, help="File with the names of the embeddings, or of files below --images, one per line."
        ),
    ] = None
    encoder: Annotated[
        str | None,
        typer.Option(
            help=f"Encoder of --images; NAME(weights=FILE) takes a local file. Default: {ENCODER}.",
            autocompletion=_complete.one_of("encoders"),
        ),
    ] = None
    image_size: Annotated[
        int | None,
        typer.Option(
            min=16, max=1024, help=f"Length in pixels to scale the short side of images to. Default: {IMAGE_SIZE}."
        ),
    ] = None

    def find(self, cache: Path, out: Path, *, download: bool, quiet: bool) -> tuple[Source, Path | None]:
        """Fetch remote files and extract frames of videos; return the items, and the folder of the frames."""
        from bench.cli._stages import StageProgress
        from bench.engine.plan import check_writable
        from bench.errors import SpecError
        from bench.labelling.images import readable_suffixes
        from bench.labelling.remote import fetch_folder, local_copy
        from bench.labelling.sources import Source
        from bench.labelling.videos import SUFFIXES, check_videos, extract_frames, frames_folder

        if self.fps is not None and (self.images is None or self.embeddings or self.names):
            raise SpecError(
                "--fps takes pictures from the videos in --images FOLDER; leave --embeddings and --names out."
            )
        if self.embeddings and (self.encoder is not None or self.image_size is not None):
            raise SpecError("--encoder and --image-size are only for --images; --embeddings are used as they are.")
        check_videos(self.fps)
        check_writable(out.parent)
        images = None if self.images is None else Path(self.images)
        unusable: tuple[Skipped, ...] = ()
        address = None if self.images is None else address_of(self.images)
        if self.embeddings is None and (address or self.fps is not None):
            self.weights(download)  # Missing weights are refused before files are fetched, which may take hours.
        with StageProgress(quiet=quiet) as progress:
            embeddings, names = (
                None if path is None else Path(local_copy(path, cache / "fetched", progress.stage))
                for path in (self.embeddings, self.names)
            )
            if address:
                suffixes = readable_suffixes() if self.fps is None else SUFFIXES
                images, unusable = fetch_folder(address, cache / "fetched", suffixes, progress.stage)
            if self.fps is not None and images is not None:
                frames = frames_folder(out, address or str(images.resolve()))
                return Source.of(extract_frames(images, frames, self.fps, progress.stage, unusable)), frames
        return Source.find(images=images, embeddings=embeddings, names=names).without(unusable), None

    def weights(self, download: bool) -> tuple[EncoderRef, Path | None]:
        """Return the encoder and the file of its weights."""
        from bench.engine.plan import find_encoder
        from bench.grammar import parse_call

        return find_encoder(parse_call(self.encoder or ENCODER), download, needed=True)


@dataclass(frozen=True)
class ListOptions:
    """The lists of items that are labelled, excluded or grouped."""

    panel: ClassVar[str] = "Labelled, excluded and grouped items"

    labelled: Annotated[
        str | None,
        typer.Option(
            metavar=PATH,
            help="CSV or text file of items that are already labelled, such as an earlier choice; the new choice "
            "complements them.",
        ),
    ] = None
    exclude: Annotated[
        str | None, typer.Option(metavar=PATH, help="CSV or text file of items that must not be chosen.")
    ] = None
    groups: Annotated[
        str | None,
        typer.Option(
            help="'folder' to group items by folder, or a CSV of file and group, such as the video or patient; see "
            "--per-group."
        ),
    ] = None
    per_group: Annotated[
        str,
        typer.Option(
            metavar="N|all",
            help="Most items to choose from a group, counting those already labelled. 'all' chooses whole groups, "
            "of at most --budget items in total.",
        ),
    ] = "1"

    def files(self) -> dict[str, str | None]:
        """Return the files of the lists, by option."""
        groups = None if self.groups == "folder" else self.groups
        return {"--labelled": self.labelled, "--exclude": self.exclude, "--groups": groups}

    def fetched(self, cache: Path, quiet: bool) -> ListOptions:
        """Return the options with local copies of remote lists, which can be read."""
        from bench.cli._stages import StageProgress
        from bench.errors import DataError
        from bench.labelling.remote import local_copy
        from bench.labelling.tables import read_lines

        with StageProgress(quiet=quiet) as progress:
            labelled, exclude, groups = (
                None if path is None else local_copy(path, cache / "fetched", progress.stage)
                for path in (self.labelled, self.exclude, self.groups)
            )
        table = None if groups == "folder" else groups
        if table is not None and not Path(table).exists():
            raise DataError(f"cannot read {table}: no such file; --groups takes 'folder', or a CSV of file and group.")
        for path in (labelled, exclude, table):
            if path is not None:
                read_lines(Path(path))  # A wrong file is refused before images are fetched, which may take hours.
        return replace(self, labelled=labelled, exclude=exclude, groups=groups)

    def limits(self, source: Source) -> tuple[Limits, int]:
        """Return the limits by positions in the source, and the number of lines of ``labelled`` without a label."""
        from bench.labelling.candidates import Limits, most_of_a_group
        from bench.labelling.lists import Listed, read_groups, read_list

        most = most_of_a_group(self.per_group, grouped=self.groups is not None)
        lookup = source.lookup()
        labelled = Listed() if self.labelled is None else read_list(Path(self.labelled), lookup, labelled=True)
        excluded = Listed() if self.exclude is None else read_list(Path(self.exclude), lookup, labelled=False)
        numbers = None if self.groups is None else read_groups(self.groups, lookup)
        return Limits(labelled.positions, excluded.positions, numbers, most), labelled.unlabelled


@spread
def select(
    *,
    choice: ChoiceOptions,
    inputs: ItemOptions,
    lists: ListOptions,
    outputs: OutputOptions,
    cache_dir: CacheOption = None,
    download: Annotated[bool, option(FolderFields, "download", help="Download missing weights.")] = False,
    device: DeviceOption = "auto",
    threads: Annotated[
        int | None, typer.Option(min=1, help="Number of CPU threads. Default: all.", rich_help_panel=MACHINE)
    ] = None,
    plugin: PluginOption = None,
    quiet: QuietOption = False,
    json_output: SummaryOption = False,
) -> None:
    """Choose which of your own unlabelled images to label, without needing any label.

    Write the file names in labelling order: if you stop early, what you have
    labelled is still a good choice. To resume after an interruption, run the
    same command again.

    Exit codes: 0 done, 1 written, but the choice lacks variety, 2 bad input,
    130 interrupted.
    """
    from bench.cli._stages import StageProgress
    from bench.engine.plan import check_cache, check_writable
    from bench.labelling.candidates import check_limits

    address = None if inputs.images is None else address_of(inputs.images)
    read = {**lists.files(), "--embeddings": inputs.embeddings, "--names": inputs.names}
    outputs.check(read, files=bool(inputs.images))
    similarity = choice.least_similarity()
    choice.check()
    started = time.perf_counter()
    from bench.store.folder import cache_folder

    cache = cache_folder(cache_dir)
    lists = lists.fetched(cache, quiet)
    source, frames = inputs.find(cache, outputs.out, download=download, quiet=quiet)
    outputs.check_pictures(source)
    size = len(source.names)
    limits, unlabelled = lists.limits(source)
    call = choice.call(size)
    check_limits(limits, budget=choice.budget, items=size)
    others = source.other_suffixes(without=outputs.files())
    # All refusals come before the first image is read, which may take hours.
    for path in outputs.files():
        check_writable(path.parent)
    check_cache(cache)
    from bench.engine.start import pick_device
    from bench.labelling.collapse import copies, empty_rows
    from bench.labelling.items import ComputeSettings
    from bench.labelling.whole import choose_to_label
    from bench.store.cache import Store
    from bench.training.precision import prepare_torch

    compute_device, threads = pick_device(device), threads or os.cpu_count() or 1
    prepare_torch(threads)
    ref, weights = (None, None) if source.scan is None else inputs.weights(download)
    with ExitStack() as stack:
        progress = stack.enter_context(StageProgress(quiet=quiet))
        items = source.items(
            ref,
            weights,
            store=Store(cache),
            size=inputs.image_size or IMAGE_SIZE,
            device=compute_device,
            stage=progress.stage,
        )
        limits = items.limits(replace(limits, similarity=similarity))
        chosen = choose_to_label(
            items.vectors,
            call,
            budget=choice.budget,
            classes=choice.classes,
            seed=choice.seed,
            machine=ComputeSettings(cache, compute_device, threads, progress.stage),
            limits=limits,
            left_out=_unread(items),
        )
        empty = empty_rows(items.vectors) if source.scan is None else []
        repeated = copies(items.contents(chosen.positions), items.contents(limits.labelled))
        chosen = chosen._replace(warnings=(*empty, *repeated, *chosen.warnings))
        progress.stage("writing")
        # Frames of videos are local, wherever the videos are.
        summary = outputs.write(chosen, items, limits, unlabelled, address if inputs.fps is None else None)
    summary |= {} if inputs.fps is None else {"frames": str(frames)}
    summary |= {} if others is None else {"other_files": others}
    report({**summary, "seconds": round(time.perf_counter() - started, 1)}, json_output)
    # The choice is written, but 1 tells a script that somebody should look at it before anything is labelled.
    if chosen.warnings:
        raise typer.Exit(1)


def _unread(items: Items) -> str:
    """Return how many files were skipped, for an error about the budget, after which no list of them is written."""
    names = [item.name for item in items.skipped]
    if not names:
        return ""
    return f"of {len(items.names) + len(names)} files {len(names)} could not be read ({some_of(names, _NAMED)}); "
