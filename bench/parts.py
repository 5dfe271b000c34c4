"""The parts of a pool, in one table: who may read each, its options with their defaults, and what it rests on.

The declaration of a method (``need``), the pool, its sources, the stages and the conformance suite read this table. A
new part is a row here, with its options; the property or method of ``bench.pool.Pool`` that says what it gives; and the
module of ``bench/stages/`` that its row names, which gives it (``bench.stages.givers``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, get_args

from typing_extensions import Self, TypedDict

from bench.errors import RegistrationError
from bench.grammar import parse_call
from bench.judging.judges import Judge

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bench.data import Images
    from bench.dynamics import Dynamics
    from bench.pool import Neighbors, Outputs

Supervision = Literal["none", "pseudo", "coreset", "labels"]
"""What a method may see, from nothing to everything: each allows what those before it allow."""
SUPERVISIONS: tuple[Supervision, ...] = get_args(Supervision)
Resource = Literal["encoder", "proxy", "pseudo-labels"]
"""What of a grid a part rests on; a cell names an encoder or a proxy where its method reads such a part."""
Metric = Literal["cosine", "euclidean"]
Algorithm = Literal["temi", "kmeans"]
Targets = Literal["labels", "pseudo"]
Learned = Literal["revealed", "pool"]
Layers = Literal["all", "last"]
"""Whose gradient a norm is of: all weights, or those of the last linear layer."""
Chosen = TypeVar("Chosen", bound="Options")
Value = TypeVar("Value")


@dataclass(frozen=True)
class Options:
    """The options of a part that has none."""

    def shared(self, size: int, num_classes: int) -> Self:
        """Return the options under which stages keep the part, for ``size`` images in ``num_classes`` classes.

        Options of the same meaning give the same stage, so that no part is computed twice.
        """
        return self


NO_OPTIONS = Options()


@dataclass(frozen=True)
class NearestNeighbors(Options):
    """How many neighbours, and by which distance. ELFS takes 50, the largest default of any method.

    Lists of up to the default are cut from the same ones.
    """

    k: int = 50
    metric: Metric = "cosine"

    def shared(self, size: int, num_classes: int) -> Self:
        k = max(self.k, NearestNeighbors.k)
        return replace(self, k=min(k, size - 1) if size else k)


@dataclass(frozen=True)
class Clustering(Options):
    """What gives pseudo-labels, with ELFS's heads and epochs of TEMI.

    Attributes:
        clustering: ``temi``, or ``kmeans`` on L2-normalised embeddings.
        num_clusters: how many; None is the number of classes, ``estimate`` takes it from the embeddings.
        heads: TEMI's heads.
        epochs: TEMI's epochs.
    """

    clustering: Algorithm = "temi"
    num_clusters: int | Literal["estimate"] | None = None
    heads: int = 50
    epochs: int = 200

    def shared(self, size: int, num_classes: int) -> Self:
        return self if self.num_clusters is not None else replace(self, num_clusters=num_classes)


class ClusteringKeywords(TypedDict, total=False):
    """``Clustering`` as keywords of a call on the pool; None stands for the default."""

    clustering: Algorithm | None
    num_clusters: int | Literal["estimate"] | None
    heads: int | None
    epochs: int | None


@dataclass(frozen=True)
class TrainedOn(Clustering):
    """What the proxy is trained on: true labels, or the pseudo-labels of a clustering."""

    of: Targets = "labels"

    def shared(self, size: int, num_classes: int) -> Self:
        # On true labels no clustering is involved, whatever was said of one.
        return super().shared(size, num_classes) if self.of == "pseudo" else type(self)(of=self.of)


@dataclass(frozen=True)
class Judging(Options):
    """Which judge looks at coresets."""

    by: Judge = "ridge"


@dataclass(frozen=True)
class OtherMethod(Options):
    """A call of another method, such as ``elfs(clustering=kmeans)``."""

    method: str

    def shared(self, size: int, num_classes: int) -> Self:
        # Read and written again, so that all spellings of a call are one stage.
        return replace(self, method=str(parse_call(self.method)))


@dataclass(frozen=True)
class EarlyGradients(Options):
    """Over how many networks gradient norms are averaged, after how many epochs, and of which layers they are."""

    networks: int = 10
    epochs: int = 10
    layers: Layers = "all"


@dataclass(frozen=True)
class TrainedNetwork(Options):
    """What the network whose outputs are read has learned, and for how long.

    Attributes:
        on: the images ``revealed`` so far, or the whole ``pool`` with its labels.
        epochs: passes over the pool, at most the proxy's; None is the proxy's. Revealed images are always passed over
            as often as the proxy's recipe says.
    """

    on: Learned = "revealed"
    epochs: int | None = None


@dataclass(frozen=True)
class Part(Generic[Chosen, Value]):
    """One row of the table.

    Attributes:
        name: what a method declares in ``needs``; the pool's property or method of that name gives the part
            (``rehearsal``: ``rehearse``).
        supervision: the least that allows it; ``least`` says it for options on which it depends.
        options: the class that holds its options.
        stage: the module of ``bench.stages`` that gives it.
        rests_on: what of the grid it needs; likewise ``resources``.
        array: the field of ``PartArrays`` that holds it in memory, ``{of}`` standing for what dynamics are of; empty
            where it is made from others.
        holds: what a NaN in it is a NaN of, which a method must not overlook.
    """

    name: str
    supervision: Supervision
    options: type[Chosen]
    stage: str
    rests_on: frozenset[Resource] = frozenset()
    array: str = ""
    holds: Literal["embeddings", "scores", ""] = ""

    def chosen(self, given: Mapping[str, Any]) -> Chosen:
        """Return the options by keywords; those left out, or None, are at their defaults.

        Raises:
            RegistrationError: an option that the part has not, or lacks.
        """
        known = {item.name: item for item in fields(self.options)}
        unknown = [name for name in given if name not in known]
        if unknown:
            valid = f"valid: {', '.join(known)}" if known else "it has none"
            raise RegistrationError(f"the part {self.name} of a pool has no option {unknown[0]!r}; {valid}.")
        # None is the default, so that a method can pass on a parameter that was not set.
        kept = {name: value for name, value in given.items() if value is not None}
        missing = [name for name, item in known.items() if item.default is MISSING and name not in kept]
        if missing:
            raise RegistrationError(f"the part {self.name} of a pool needs its option {missing[0]}: {missing[0]}=...")
        return self.options(**kept)

    def least(self, options: Options) -> Supervision:
        """Return the least supervision that allows it with these options."""
        if isinstance(options, TrainedNetwork) and options.on == "pool":
            return "labels"
        return options.of if isinstance(options, TrainedOn) else self.supervision

    def resources(self, options: Options) -> frozenset[Resource]:
        """Return what of the grid it needs with these options."""
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
    """The parts of a pool in memory, each in the field that its row of the table names, and the true labels.

    Attributes:
        image_array: uint8 [N, C, H, W].
        embedding_array: float32 [N, D].
        label_array: int64 [N].
        pseudo_label_array: int64 [N].
        dynamics_labels: of a proxy trained on true labels.
        dynamics_pseudo: of a proxy trained on pseudo-labels.
        rehearsal: int64 indices -> agreement in [0, 1], as ``Pool.rehearse``.
        judging: int64 indices -> accuracy in [0, 1], as ``Pool.judge`` of one coreset.
        gradient_norm_array: float32 [N].
        network: (embeddings [N, D], indices int64 [m], their labels int64 [m]) -> what it says of the pool, as
            ``Pool.outputs``; it is given no other label.
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
    """One part of the pool that a method reads, with the arguments it will read it with.

    Args:
        part: a name in ``PARTS``.
        options: keyword arguments of the call on the pool, so that the harness can compute it beforehand.
    """

    part: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def chosen(self) -> Any:
        """The options as the part's own class, defaults filled in."""
        return PARTS[self.part].chosen(self.options)

    def resources(self) -> frozenset[Resource]:
        """Return what of the grid the part needs."""
        return PARTS[self.part].resources(self.chosen)


def need(part: str, **options: Any) -> Need:
    """``need("neighbors", k=10)`` announces the call ``pool.neighbors(k=10)``.

    Raises:
        RegistrationError: the pool has no such part, or the part no such option.
    """
    if part not in PARTS:
        raise RegistrationError(f"a method cannot need {part!r}; valid: {', '.join(PARTS)}.")
    # At once: a wrong option is a mistake of the declaration, and shows where that is made.
    PARTS[part].chosen(options)
    return Need(part, options)
