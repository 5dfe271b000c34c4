"""The parts of a pool in one table: who may read each part, its options with defaults, and what it depends on.

Methods' declarations (``need``), the pool, its sources, the stages and the conformance suite read this table. To add a
part, add a row with its options here, the property or method of ``bench.pool.Pool`` that hands it to methods, and the
module of ``bench/stages/`` that the row names, which computes it (``bench.stages.givers``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, get_args

from typing_extensions import Self, TypedDict

from bench.errors import RegistrationError, did_you_mean
from bench.grammar import parse_call
from bench.judging.judges import Judge

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pydantic import TypeAdapter

    from bench.data import Images
    from bench.dynamics import Dynamics
    from bench.pool import Neighbors, Outputs

Supervision = Literal["none", "pseudo", "coreset", "labels"]
"""Labels that a method may see, from none to all: each level includes those before it."""
SUPERVISIONS: tuple[Supervision, ...] = get_args(Supervision)
Resource = Literal["encoder", "proxy", "pseudo-labels"]
"""Component of a grid that a part depends on; a cell has an encoder or a proxy only if its method reads such a part."""
Metric = Literal["cosine", "euclidean"]
Algorithm = Literal["temi", "kmeans"]
Targets = Literal["labels", "pseudo"]
Learned = Literal["revealed", "pool"]
Layers = Literal["all", "last"]
"""Weights by which a gradient is taken: all of them, or those of the last linear layer."""
Chosen = TypeVar("Chosen", bound="Options")
Value = TypeVar("Value")


@dataclass(frozen=True)
class Options:
    """The options of a part; this base class has none."""

    def shared(self, size: int, num_classes: int) -> Self:
        """Return the options of the stage that stores the part, for ``size`` images in ``num_classes`` classes.

        Options with the same meaning give the same stage, so that no part is computed twice.
        """
        return self


NO_OPTIONS = Options()


@dataclass(frozen=True)
class NearestNeighbors(Options):
    """The number of neighbours and the distance. ELFS takes 50 neighbours, the largest default of any method.

    Lists of up to that number are cut from one stored list.
    """

    k: int = 50
    metric: Metric = "cosine"

    def shared(self, size: int, num_classes: int) -> Self:
        k = max(self.k, NearestNeighbors.k)
        return replace(self, k=min(k, size - 1) if size else k)


@dataclass(frozen=True)
class Clustering(Options):
    """The clustering that gives pseudo-labels; the defaults are those of ELFS.

    Attributes:
        clustering: ``temi``, or ``kmeans`` on L2-normalised embeddings.
        num_clusters: number of clusters; None for the number of classes, ``estimate`` to estimate it from the
            embeddings.
        heads: number of TEMI's heads.
        epochs: epochs of TEMI's training.
    """

    clustering: Algorithm = "temi"
    num_clusters: int | Literal["estimate"] | None = None
    heads: int = 50
    epochs: int = 200

    def shared(self, size: int, num_classes: int) -> Self:
        return self if self.num_clusters is not None else replace(self, num_clusters=num_classes)


class ClusteringKeywords(TypedDict, total=False):
    """The fields of ``Clustering`` as keywords of the pool's methods; None means the default."""

    clustering: Algorithm | None
    num_clusters: int | Literal["estimate"] | None
    heads: int | None
    epochs: int | None


@dataclass(frozen=True)
class TrainedOn(Clustering):
    """The targets of the proxy's training: true labels, or the pseudo-labels of a clustering."""

    of: Targets = "labels"

    def shared(self, size: int, num_classes: int) -> Self:
        # True labels involve no clustering, whatever its options.
        return super().shared(size, num_classes) if self.of == "pseudo" else type(self)(of=self.of)


@dataclass(frozen=True)
class Judging(Options):
    """The judge of coresets."""

    by: Judge = "ridge"


@dataclass(frozen=True)
class OtherMethod(Options):
    """A call of another method, such as ``elfs(clustering=kmeans)``."""

    method: str

    def shared(self, size: int, num_classes: int) -> Self:
        # Parsed and written again, so that all spellings of a call give one stage.
        return replace(self, method=str(parse_call(self.method)))


@dataclass(frozen=True)
class EarlyGradients(Options):
    """The networks that gradient norms are averaged over, their epochs of training, and the layers of the gradient."""

    networks: int = 10
    epochs: int = 10
    layers: Layers = "all"


@dataclass(frozen=True)
class TrainedNetwork(Options):
    """The training of the network whose outputs are read.

    Attributes:
        on: train on the images ``revealed`` so far, or on the whole ``pool`` with its labels.
        epochs: passes over the pool, at most the proxy's; None for the proxy's number, which revealed images always
            get.
    """

    on: Learned = "revealed"
    epochs: int | None = None


@dataclass(frozen=True)
class Part(Generic[Chosen, Value]):
    """One row of the table.

    Attributes:
        name: name that a method declares in ``needs``; the pool's property or method of that name hands out the part
            (``rehearsal``: ``rehearse``).
        supervision: the least supervision that may read it; ``least`` takes the options into account.
        options: class of its options.
        stage: module of ``bench.stages`` that computes it.
        rests_on: resources of the grid that it needs; ``resources`` takes the options into account.
        array: field of ``PartArrays`` that holds it in memory, where ``{of}`` stands for the targets of dynamics; empty
            if it is computed from other parts.
        holds: kind of numbers in it that may be NaN, which a method must not overlook.
    """

    name: str
    supervision: Supervision
    options: type[Chosen]
    stage: str
    rests_on: frozenset[Resource] = frozenset()
    array: str = ""
    holds: Literal["embeddings", "scores", ""] = ""

    def chosen(self, keywords: Mapping[str, Any]) -> Chosen:
        """Return the options as an object; a keyword that is missing or None takes its default.

        Raises:
            RegistrationError: an option is unknown or its value not valid, or a required one is missing.
        """
        from pydantic import ValidationError

        from bench.valid import first_refused

        known = {item.name: item for item in fields(self.options)}
        unknown = [name for name in keywords if name not in known]
        if unknown:
            valid = f"valid: {', '.join(known)}.{did_you_mean(unknown[0], known)}" if known else "it has none."
            raise RegistrationError(f"the part {self.name} of a pool has no option {unknown[0]!r}; {valid}")
        # None means the default, so that a method can pass on a parameter that was not set.
        values = {name: value for name, value in keywords.items() if value is not None}
        missing = [name for name, item in known.items() if item.default is MISSING and name not in values]
        if missing:
            raise RegistrationError(f"the part {self.name} of a pool needs its option {missing[0]}: {missing[0]}=...")
        try:
            return self._adapter.validate_python(values)
        except ValidationError as error:
            name, given, valid = first_refused(error, self._adapter.json_schema())
            raise RegistrationError(
                f"the part {self.name} of a pool: {name}={given!r} is not valid: {valid}"
            ) from error

    # Kept: a plan reads the needs of thousands of cells.
    @cached_property
    def _adapter(self) -> TypeAdapter[Chosen]:
        from pydantic import TypeAdapter

        return TypeAdapter(self.options)

    def least(self, options: Options) -> Supervision:
        """Return the least supervision that may read it with these options."""
        if isinstance(options, TrainedNetwork) and options.on == "pool":
            return "labels"
        return options.of if isinstance(options, TrainedOn) else self.supervision

    def resources(self, options: Options) -> frozenset[Resource]:
        """Return the resources of the grid that it needs with these options."""
        clustered = isinstance(options, TrainedOn) and options.of == "pseudo"
        return self.rests_on | {"encoder", "pseudo-labels"} if clustered else self.rests_on

    def array_of(self, options: Options) -> str:
        """Return the field of ``PartArrays`` that holds it with these options."""
        return self.array.format(of=options.of) if isinstance(options, TrainedOn) else self.array


IMAGES: Part[Options, Images] = Part("images", "none", Options, "source", array="image_array")
EMBEDDINGS: Part[Options, NDArray[np.float32]] = Part(
    "embeddings", "none", Options, "embeddings", frozenset({"encoder"}), "embedding_array", "embeddings"
)
NEIGHBORS: Part[NearestNeighbors, Neighbors] = Part(
    "neighbors", "none", NearestNeighbors, "neighbors", frozenset({"encoder"}), holds="embeddings"
)
PSEUDO_LABELS: Part[Clustering, NDArray[np.int64]] = Part(
    "pseudo_labels", "pseudo", Clustering, "clusters", frozenset({"encoder", "pseudo-labels"}), "pseudo_label_array"
)
DYNAMICS: Part[TrainedOn, Dynamics] = Part(
    "dynamics", "pseudo", TrainedOn, "dynamics", frozenset({"proxy"}), "dynamics_{of}", "scores"
)
REHEARSAL: Part[Clustering, float] = Part(
    "rehearsal", "pseudo", Clustering, "rehearsal", frozenset({"encoder", "proxy", "pseudo-labels"}), "rehearsal"
)
JUDGE: Part[Judging, NDArray[np.float64]] = Part(
    "judge", "pseudo", Judging, "judging", frozenset({"encoder", "proxy"}), "judging"
)
# Whoever reads another method's coreset needs that method's supervision, and what that method rests on.
CORESET: Part[OtherMethod, NDArray[np.int64]] = Part("coreset", "pseudo", OtherMethod, "selection")
GRADIENT_NORMS: Part[EarlyGradients, NDArray[np.float32]] = Part(
    "gradient_norms", "labels", EarlyGradients, "gradients", frozenset({"proxy"}), "gradient_norm_array", "scores"
)
OUTPUTS: Part[TrainedNetwork, Outputs] = Part(
    "outputs", "coreset", TrainedNetwork, "outputs", frozenset({"proxy"}), "network", "embeddings"
)
PARTS: dict[str, Part[Any, Any]] = {
    part.name: part
    for part in (
        IMAGES,
        EMBEDDINGS,
        NEIGHBORS,
        PSEUDO_LABELS,
        DYNAMICS,
        REHEARSAL,
        JUDGE,
        CORESET,
        GRADIENT_NORMS,
        OUTPUTS,
    )
}


@dataclass(frozen=True)
class PartArrays:
    """The parts of a pool in memory, each in the field that its row of the table names, with the true labels.

    Attributes:
        image_array: uint8 [N, C, H, W].
        embedding_array: float32 [N, D].
        label_array: int64 [N].
        pseudo_label_array: int64 [N].
        dynamics_labels: dynamics of a proxy trained on true labels.
        dynamics_pseudo: dynamics of a proxy trained on pseudo-labels.
        rehearsal: int64 indices -> agreement in [0, 1], as ``Pool.rehearse``.
        judging: int64 indices -> accuracy in [0, 1], as ``Pool.judge`` for one coreset.
        gradient_norm_array: float32 [N].
        network: (embeddings [N, D], indices int64 [m], their labels int64 [m]) -> outputs for the pool, as
            ``Pool.outputs``; it gets no other label.
    """

    image_array: Images | None = None
    embedding_array: NDArray[np.float32] | None = None
    label_array: NDArray[np.int64] | None = None
    pseudo_label_array: NDArray[np.int64] | None = None
    dynamics_labels: Dynamics | None = None
    dynamics_pseudo: Dynamics | None = None
    rehearsal: Callable[[NDArray[np.int64]], float] | None = None
    judging: Callable[[NDArray[np.int64]], float] | None = None
    gradient_norm_array: NDArray[np.float32] | None = None
    network: Callable[[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]], Outputs] | None = None


@dataclass(frozen=True)
class Need:
    """A part of the pool that a method reads, with the arguments of that read.

    Args:
        part: a name in ``PARTS``.
        options: keyword arguments of the call on the pool, so that the harness can compute the part beforehand.
    """

    part: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def chosen(self) -> Any:
        """The options as an object of the part's class, with defaults filled in."""
        return PARTS[self.part].chosen(self.options)

    def resources(self) -> frozenset[Resource]:
        """Return the resources of the grid that the part needs."""
        return PARTS[self.part].resources(self.chosen)


def need(part: str, **options: Any) -> Need:
    """Declare that a method reads a part: ``need("neighbors", k=10)`` announces ``pool.neighbors(k=10)``.

    Raises:
        RegistrationError: the pool has no such part, or see ``Part.chosen``.
    """
    if part not in PARTS:
        raise RegistrationError(f"a method cannot need {part!r}; valid: {', '.join(PARTS)}.{did_you_mean(part, PARTS)}")
    # Checked at once, so that a wrong option is reported where it is declared.
    PARTS[part].chosen(options)
    return Need(part, options)
