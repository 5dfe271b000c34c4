"""A cell, the last stage: a model trained on a coreset and scored, described by a row in place of stored arrays."""

from __future__ import annotations

import math
from collections.abc import Collection
from datetime import datetime, timezone
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bench.grammar import Call, family
from bench.identity import (
    NO_ENCODER,
    NO_PROXY,
    DatasetRef,
    EncoderRef,
    Frozen,
    ModelRef,
    Proxy,
    cell_name,
    derive_seed,
    version_name,
)
from bench.plugins import encoders, methods, models
from bench.recipe import PROTOCOL, Recipe
from bench.stages.base import Stage, in_order
from bench.stages.embeddings import Embeddings
from bench.stages.memory import Estimate, Shape, of_training, training_bytes
from bench.stages.selection import Selection, select
from bench.stages.work import Work, training
from bench.weighted import Kept, kept_in

if TYPE_CHECKING:
    from bench.data import Dataset
    from bench.progress import Progress
    from bench.results.pseudo_quality import PseudoLabelQuality
    from bench.results.rows import Row, StageUse
    from bench.stages.session import Session


class Cell(Stage):
    """One grid point. Its key names its row, which takes the place of an artifact in the store.

    Attributes:
        dataset: the pool and the test split.
        method: registered name.
        variant: the method as the user wrote it; parameters that depend on the rate are shown for all rates.
        params: its parameters at this rate that differ from their defaults.
        encoder: None where neither the method nor the model reads embeddings.
        rate: fraction removed.
        budget: images kept.
        seed: of everything random.
        model: trained on the coreset.
        recipe: how it is trained.
        proxy: the network that the method has trained to look at the pool; None where it has none trained.
        protocol: version of the evaluation protocol.
    """

    kind: ClassVar[str] = "cell"
    dataset: DatasetRef
    method: str
    variant: str
    params: dict[str, Any]
    encoder: EncoderRef | None
    rate: float
    budget: int
    seed: int
    model: ModelRef
    recipe: Recipe
    proxy: Proxy | None
    protocol: int = PROTOCOL

    def digest(self) -> str:
        """As ``Frozen.digest``; of a parameter given per rate only the value at this rate counts."""
        return Frozen.digest(self.model_copy(update={"variant": family(self.variant)}))

    @cached_property
    def cell_id(self) -> str:
        """Readable and unique: safe as a file name."""
        encoder = self.encoder.name if self.encoder else "none"
        data = version_name(self.dataset.name, self.dataset.modifiers)
        name = cell_name(data, self.method, encoder, self.rate, self.seed, self.model.name)
        return f"{name}-{self.digest()[:12]}"

    @property
    def key(self) -> str:
        """The cell's id: a row of an earlier version of a stage stays the cell's, which ``bench run`` says."""
        return self.cell_id

    def made(self, row: Row) -> bool:
        """Whether a row that has the cell's id is of the method's present version."""
        return row.method_version == methods.get(self.method).info.version

    @property
    def pool(self) -> DatasetRef:
        return self.dataset

    def inputs(self) -> list[Stage]:
        return self.stages()

    def title(self) -> str:
        words = [self.dataset.label, self.variant, f"rate {self.rate:g}", f"seed {self.seed}", self.model.label]
        if self.encoder is not None:
            words.insert(2, self.encoder.label)
        return ", ".join(words)

    def estimate(self, shape: Shape, device: str) -> Estimate:
        """Estimate the final training; the row, its coreset and its scores take 50 kB and 12 N on disk."""
        data, network = training_bytes(self.model, self.recipe, shape, self.dataset, self.budget)
        return of_training(data, network, 50_000 + 12 * shape.train, device)

    def work(self, shape: Shape) -> list[Work]:
        inputs = (self.encoder if self._reads_embeddings() else None) or shape.image
        # No training is scored more often than it takes steps.
        scored = min(self.recipe.evaluations, self.recipe.iterations) * shape.test
        steps = self.recipe.iterations
        return training(self.model, self.recipe, inputs, self.dataset, self.budget, steps, scored)

    def table_fields(self) -> dict[str, Any]:
        """Return the fields of a row that say which table it stands in, and what it may stand beside there."""
        return {
            "dataset": self.dataset.label,
            "dataset_version": self.dataset.version,
            "pool_size": self.dataset.size,
            "fingerprint": self.dataset.fingerprint,
            "clean_fingerprint": self.dataset.clean_fingerprint,
            "encoder": self.encoder.label if self.encoder else NO_ENCODER,
            "encoder_version": self.encoder.version if self.encoder else None,
            "encoder_supervision": self._encoder_supervision(),
            "encoder_weights": self.encoder.weights_sha256 if self.encoder else "",
            "model": self.model.label,
            "model_version": self.model.version,
            "proxy_model": self.proxy.model.label if self.proxy else NO_PROXY,
            "proxy_version": self.proxy.model.version if self.proxy else None,
            "proxy_recipe": self.proxy.recipe if self.proxy else None,
            "recipe": self.recipe,
            "protocol": self.protocol,
        }

    def _encoder_supervision(self) -> str:
        if self.encoder is None:
            return NO_ENCODER
        return encoders.get(self.encoder.name).info.trained_with(self.encoder.params)

    def selection(self) -> Selection:
        """Return the coreset as a shared stage: models, variants and label noise that do not change it share it."""
        # What a method cannot read cannot change its coreset: cells with and without ``@noise`` share one selection.
        label_free = methods.get(self.method).info.supervision in ("none", "pseudo")
        return select(
            Call(self.method, self.params),
            dataset=self.dataset.without_noise() if label_free else self.dataset,
            encoder=self.encoder,
            proxy=self.proxy,
            rate=self.rate,
            budget=self.budget,
            seed=self.seed,
        )

    def stages(self) -> list[Stage]:
        """Return what must be there before the model is trained."""
        selection = self.selection()
        # Selected already or not, the row tells how good the pseudo-labels are.
        return [selection, *selection.all_pseudo_labels()[:1], *self.model_stages()]

    def model_stages(self) -> list[Embeddings]:
        """Return what the model is trained on and scored on in place of images, if anything."""
        if not self._reads_embeddings() or self.encoder is None:
            return []
        images = self.dataset.without_noise()
        return [
            Embeddings(dataset=images, encoder=self.encoder),
            Embeddings(dataset=images, encoder=self.encoder, split="test"),
        ]

    def row(self, session: Session, progress: Progress | None = None, computed: Collection[str] = ()) -> Row:
        """Train on the coreset, score the test split, publish coreset and scores, and describe it all.

        Args:
            session: where.
            progress: called with (steps done, steps in all).
            computed: keys of the stages that this run computed; all others it found in the store.

        Raises:
            BenchError: selection or training cannot go on.
        """
        from bench.results.published import write_indices
        from bench.results.rows import Row
        from bench.training.precision import prepare_torch

        kept, selected = self.coreset(session, computed)
        dataset = session.dataset(self.dataset)
        prepare_torch(session.threads)  # again, since importing or running the method may have set something else
        return Row(
            cell_id=self.cell_id,
            config_sha256=self.digest(),
            **self.table_fields(),
            method=self.method,
            variant=self.variant,
            rate=self.rate,
            budget=self.budget,
            seed=self.seed,
            **selected,
            # Positions in the full training split: they name the same images whatever pool was drawn of it.
            indices_sha256=write_indices(dataset.pool_index[kept.indices], session.out, self.cell_id, kept.weights),
            weighted=kept.weights is not None,
            **self._measure(kept, dataset, session, progress),
        )

    def coreset(self, session: Session, computed: Collection[str]) -> tuple[Kept, dict[str, Any]]:
        """Select.

        Args:
            session: where; its ``out`` receives the scores.
            computed: see ``row``.

        Returns:
            The coreset, by positions in the pool, and the fields of a row that say how it was selected.
        """
        from bench.diagnostics import Diagnostics
        from bench.results.published import write_scores

        selection, entry = self.selection(), methods.get(self.method)
        selected = session.get(selection)
        diagnostics = Diagnostics.from_arrays(selected.arrays)
        return kept_in(selected.arrays), {
            "method_version": entry.info.version,
            "params": entry.resolve(self.params),
            "selection_code": selection.all_code(),
            "supervision": entry.info.supervision,
            "chosen": dict(diagnostics.chosen),
            "judged": dict(diagnostics.judged),
            "taken": diagnostics.taken,
            "pseudo_labels": self._pseudo_label_quality(selection, session),
            "scores_sha256": write_scores(diagnostics.scores, session.out),
            "stages": self._stages_used(session, computed),
            "select_seconds": selected.seconds,
        }

    def _stages_used(self, session: Session, computed: Collection[str]) -> list[StageUse]:
        from bench.results.rows import StageUse

        store = session.store
        return [
            StageUse(
                kind=stage.kind,
                key=stage.key,
                seconds=store.seconds(stage),
                reused=stage.key not in computed,
                **store.peaks(stage),
            )
            for stage in in_order(self.stages())
            if stage in store  # what a stored stage rests on may have been pruned
        ]

    def _pseudo_label_quality(self, selection: Selection, session: Session) -> PseudoLabelQuality | None:
        """Measure the first pseudo-labels that the method declared; read here, once its coreset is fixed.

        The true labels are those before ``@noise``, which replaces what a network is trained on.
        """
        from bench.results.pseudo_quality import pseudo_label_quality

        for stage in selection.all_pseudo_labels()[:1]:
            true_labels = session.dataset(self.dataset.without_noise()).train.labels
            return pseudo_label_quality(session.arrays(stage)["labels"], true_labels)
        return None

    def _reads_embeddings(self) -> bool:
        return models.get(self.model.name).info.inputs == "embeddings"

    def _model_inputs(self, dataset: Dataset, session: Session) -> tuple[Any, Any]:
        """Return both splits: uint8 images [N, C, H, W], or float32 embeddings [N, D] where the model takes these."""
        stages = self.model_stages()
        if not stages:
            return dataset.train.images, dataset.test.images
        train, test = (session.arrays(stage)["embeddings"] for stage in stages)
        return train, test

    def _measure(self, kept: Kept, dataset: Dataset, session: Session, progress: Progress | None) -> dict[str, Any]:
        """Train the model on a coreset and score the test split.

        Args:
            kept: the coreset, by positions in the pool.
            dataset: the cell's.
            session: where.
            progress: called with (steps done, steps in all).

        Returns:
            The fields of a row that training decides, and those that say what trained.

        Raises:
            BenchError: training cannot go on.
        """
        from bench.data import take_images
        from bench.provenance import device_name, git_state, versions
        from bench.resource_usage import measure_usage
        from bench.training.fit import LabelledInputs, fit

        train_inputs, test_inputs = self._model_inputs(dataset, session)
        labels = dataset.train.labels[kept.indices]
        with measure_usage() as usage:
            evaluations = fit(
                self.model,
                LabelledInputs(take_images(train_inputs, kept.indices), labels, dataset.num_classes, kept.weights),
                dataset=dataset,
                recipe=self.recipe,
                iterations=self.recipe.iterations,
                # A seed of its own: the model starts alike whatever the selection drew before.
                seed=derive_seed(self.seed, "model"),
                device=session.device,
                test=LabelledInputs(test_inputs, dataset.test.labels, dataset.num_classes),
                progress=progress,
            )
        best = max(evaluations, key=lambda item: item.accuracy)  # the first of several
        revision, dirty = git_state()
        return {
            "accuracy": evaluations[-1].accuracy,
            "best_accuracy": best.accuracy,
            "best_iteration": best.iteration,
            # JSON has no NaN, which a class without test images has.
            "per_class_accuracy": [None if math.isnan(value) else value for value in evaluations[-1].per_class],
            "curve": [(item.iteration, item.accuracy) for item in evaluations],
            "class_counts": np.bincount(labels, minlength=dataset.num_classes).tolist(),
            "test_class_counts": np.bincount(dataset.test.labels, minlength=dataset.num_classes).tolist(),
            "train_seconds": usage.seconds,
            "train_peak_bytes": usage.peak_bytes,
            "train_peak_gpu_bytes": usage.peak_gpu_bytes,
            "device": device_name(session.device),
            "threads": session.threads,
            "versions": versions(session.device),
            "git_revision": revision,
            "git_dirty": dirty,
            "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        }
