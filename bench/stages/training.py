"""The cell, the last stage: a model is trained on a coreset and scored; its result is a row instead of arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from datetime import datetime, timezone
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bench.grammar import Call, family
from bench.identity import (
    NO_ENCODER,
    NO_PROXY,
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
from bench.stages.base import OnDataset, Stage, in_order
from bench.stages.embeddings import Embeddings
from bench.stages.memory import Estimate, Shape, of_training, training_bytes
from bench.stages.selection import Selection, select
from bench.stages.work import Work, training_work
from bench.weighted import Kept, kept_in

if TYPE_CHECKING:
    from bench.data import Dataset
    from bench.progress import Progress
    from bench.results.pseudo_quality import PseudoLabelQuality
    from bench.results.rows import Row, StageUse
    from bench.stages.session import Session


class Cell(OnDataset):
    """One grid point. Its key names its row, which replaces an artifact in the store.

    Attributes:
        dataset: the pool and the test split.
        method: registered name.
        variant: the method as the user wrote it; parameters that depend on the rate are shown for all rates.
        params: its parameters at this rate that differ from their defaults.
        encoder: encoder of the pool; None if neither the method nor the model reads embeddings.
        rate: fraction of the pool to remove.
        budget: number of images to keep.
        seed: seed of everything random.
        model: model to train on the coreset.
        recipe: recipe of that training.
        proxy: network that the method has trained; None if it has none.
        protocol: version of the evaluation protocol.
    """

    kind: ClassVar[str] = "cell"
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
        """Return ``Frozen.digest``, in which a parameter given per rate has only its value at this rate."""
        return Frozen.digest(self.model_copy(update={"variant": family(self.variant)}))

    @cached_property
    def cell_id(self) -> str:
        """A readable, unique id, which is safe as a file name."""
        encoder = self.encoder.name if self.encoder else "none"
        data = version_name(self.dataset.name, self.dataset.modifiers)
        name = cell_name(data, self.method, encoder, self.rate, self.seed, self.model.name)
        return f"{name}-{self.digest()[:12]}"

    @property
    def key(self) -> str:
        """The cell's id: a row from an earlier version of a stage stays valid, and ``bench run`` mentions it."""
        return self.cell_id

    def made(self, row: Row) -> bool:
        """Return whether a row with the cell's id was made by the present version of the method."""
        return row.method_version == methods.get(self.method).info.version

    def inputs(self) -> list[Stage]:
        return self.stages()

    def title(self) -> str:
        words = [self.dataset.label, self.variant, f"rate {self.rate:g}", f"seed {self.seed}", self.model.label]
        if self.encoder is not None:
            words.insert(2, self.encoder.label)
        return ", ".join(words)

    def estimate(self, shape: Shape, device: str) -> Estimate:
        """Return the estimate of the final training; the row, its coreset and scores take 50 kB and 12 N on disk."""
        data, network = training_bytes(self.model, self.recipe, shape, self.dataset, self.budget)
        return of_training(data, network, 50_000 + 12 * shape.train, device)

    def work(self, shape: Shape) -> list[Work]:
        inputs = (self.encoder if self._reads_embeddings() else None) or shape.image
        # A training is scored at most once per step.
        scored = (min(self.recipe.evaluations, self.recipe.iterations) + self.recipe.test_flip) * shape.test
        steps = self.recipe.iterations
        return training_work(self.model, self.recipe, inputs, self.dataset, self.budget, steps, scored)

    def table_fields(self) -> dict[str, Any]:
        """Return the fields of a row that decide which table it belongs to, and which rows it can be compared with."""
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
        """Return the selection, which cells share whose models, variants and label noise do not change it."""
        # A label-free method cannot read labels: cells with and without ``@noise`` share one selection.
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
        """Return the stages that must be stored before the model is trained."""
        selection = self.selection()
        # With the pseudo-labels, whose quality the row reports even if the selection is already stored.
        return [selection, *selection.all_pseudo_labels()[:1], *self.model_stages()]

    def model_stages(self) -> list[Embeddings]:
        """Return the embeddings of both splits that the model reads; none if it reads images."""
        if not self._reads_embeddings() or self.encoder is None:
            return []
        images = self.dataset.without_noise()
        return [
            Embeddings(dataset=images, encoder=self.encoder),
            Embeddings(dataset=images, encoder=self.encoder, split="test"),
        ]

    def row(
        self,
        session: Session,
        progress: Progress | None = None,
        computed: Collection[str] = (),
        published: Callable[[], Row | None] = lambda: None,
    ) -> Row:
        """Train on the coreset, score the test split, write the coreset and the scores, and return the row.

        Args:
            session: the session to compute in.
            progress: called with (steps done, total steps).
            computed: keys of the stages that this run computed; all others were in the store.
            published: called after the training; returns the cell's row if another run has written it meanwhile, which
                is then returned, and its coreset stays.

        Raises:
            BenchError: selection or training cannot continue.
        """
        from bench.results.published import write_indices
        from bench.results.rows import Row
        from bench.training.precision import prepare_torch

        coreset, selection_fields = self.coreset(session, computed)
        dataset = session.dataset(self.dataset)
        prepare_torch(session.threads)  # again, since importing or running the method may have changed settings
        trained = self._train_and_score(coreset, dataset, session, progress)
        # The coreset is written last: a folder may hold a row of another run, or of another version of the method,
        # whose coreset must stay beside it if this training is killed or comes second.
        if (other := published()) is not None:
            return other
        return Row(
            cell_id=self.cell_id,
            config_sha256=self.digest(),
            **self.table_fields(),
            method=self.method,
            variant=self.variant,
            rate=self.rate,
            budget=self.budget,
            seed=self.seed,
            **selection_fields,
            # Positions in the full training split, which name the same images whatever pool was drawn.
            indices_sha256=write_indices(
                dataset.pool_index[coreset.indices], session.out, self.cell_id, coreset.weights
            ),
            weighted=coreset.weights is not None,
            **trained,
        )

    def coreset(self, session: Session, computed: Collection[str]) -> tuple[Kept, dict[str, Any]]:
        """Select the coreset.

        Args:
            session: the session to compute in; its ``out`` receives the scores.
            computed: see ``row``.

        Returns:
            The coreset, as positions in the pool, and the fields of a row about its selection.
        """
        from bench.diagnostics import Diagnostics
        from bench.results.published import write_scores

        selection, entry = self.selection(), methods.get(self.method)
        artifact = session.get(selection)
        diagnostics = Diagnostics.from_arrays(artifact.arrays)
        return kept_in(artifact.arrays), {
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
            "select_seconds": artifact.seconds,
        }

    def _stages_used(self, session: Session, computed: Collection[str]) -> list[StageUse]:
        from bench.results.rows import StageUse

        store = session.store
        return [
            StageUse(
                kind=stage.kind,
                key=stage.key,
                reused=stage.key not in computed,
                **store.record(stage).model_dump(include={"seconds", "peak_bytes", "peak_gpu_bytes"}),
            )
            for stage in in_order(self.stages())
            if stage in store  # the inputs of a stored stage may have been pruned
        ]

    def _pseudo_label_quality(self, selection: Selection, session: Session) -> PseudoLabelQuality | None:
        """Return the quality of the first pseudo-labels that the method declared; its coreset is already fixed.

        The true labels are those before ``@noise``, which replaces the labels of the training.
        """
        from bench.results.pseudo_quality import pseudo_label_quality

        for stage in selection.all_pseudo_labels()[:1]:
            true_labels = session.dataset(self.dataset.without_noise()).train.labels
            return pseudo_label_quality(session.arrays(stage)["labels"], true_labels)
        return None

    def _reads_embeddings(self) -> bool:
        return models.get(self.model.name).info.inputs == "embeddings"

    def _model_inputs(self, dataset: Dataset, session: Session) -> tuple[Any, Any]:
        """Return the inputs of both splits: uint8 images [N, C, H, W], or float32 embeddings [N, D]."""
        stages = self.model_stages()
        if not stages:
            return dataset.train.images, dataset.test.images
        train, test = (session.arrays(stage)["embeddings"] for stage in stages)
        return train, test

    def _train_and_score(
        self, coreset: Kept, dataset: Dataset, session: Session, progress: Progress | None
    ) -> dict[str, Any]:
        """Train the model on a coreset and score the test split.

        Args:
            coreset: the coreset, as positions in the pool.
            dataset: the cell's data set.
            session: the session to compute in.
            progress: called with (steps done, total steps).

        Returns:
            The fields of a row about the training, its results and its hardware and software.

        Raises:
            BenchError: training cannot continue.
        """
        from bench.data import take_images
        from bench.provenance import device_name, git_state, versions
        from bench.resource_usage import measure_usage
        from bench.training.fit import LabelledInputs, fit

        train_inputs, test_inputs = self._model_inputs(dataset, session)
        labels = dataset.train.labels[coreset.indices]
        with measure_usage() as usage:
            evaluations = fit(
                self.model,
                LabelledInputs(
                    take_images(train_inputs, coreset.indices), labels, dataset.num_classes, coreset.weights
                ),
                dataset=dataset,
                recipe=self.recipe,
                iterations=self.recipe.iterations,
                # A seed of its own, so that the model starts equal whatever the selection drew before.
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
            "flipped_accuracy": evaluations[-1].flipped,
            # JSON has no NaN, which is the accuracy of a class without test images.
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
