"""Training dynamics as a method reads them: a few numbers per pool image, and which end of each is hard."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

NeverLearned = Literal["hardest", "zero"]
Score = Literal[
    "aum",
    "aum-logits",
    "forgetting",
    "el2n",
    "dyn-unc",
    "dual",
    "least-confidence",
    "margin",
    "entropy",
    "tdds",
]


@dataclass(frozen=True)
class Dynamics:
    """Statistics of a proxy's training for each of the N pool images. All arrays are [N].

    p_t(i) is the softmax output for image i in epoch t, from the training forward pass (augmented view),
    before the update; y is the label trained on (true or pseudo).

    Attributes:
        aum: float32, sum over epochs of p_t(i)[y] - max over c != y of p_t(i)[c]; low is hard.
        aum_logits: float32, the same for logits (Pleiss et al. 2020); low is hard.
        forgetting: int32, how often i went from correct in one epoch to wrong in the next; high is hard.
        learned: bool, whether i was ever correct.
        el2n: float32, mean over the first 10 epochs of the L2 norm of p_t(i) - onehot(y); high is hard.
        correctness: float32, fraction of epochs in which i was correct; low is hard.
        confidence: float32, mean over epochs of p_t(i)[y]; low is hard.
        variability: float32, standard deviation over epochs of p_t(i)[y] (dataset cartography); high is ambiguous.
        dyn_unc: float32, mean over all windows of 10 consecutive epochs of the standard deviation of p_t(i)[y] inside
            the window, with 9 in the denominator (Dyn-Unc, He et al. 2024); high is uncertain.
        dual: float32, mean over the windows of 10 epochs that lie in the first 30 of that standard deviation times
            1 - the window's mean of p_t(i)[y] (DUAL, Cho et al. 2025); high is hard and uncertain. A proxy of fewer
            than 10 epochs has one window, of all its epochs.
        early_confidence: float32, mean over the first 30 epochs of p_t(i)[y], where DUAL looks; low is hard.
        least_confidence: float32, 1 - the largest of p_t(i) in the last epoch; high is uncertain.
        margin: float32, the largest minus the second largest of p_t(i) in the last epoch; low is uncertain.
        entropy: float32, -sum over c of p_t(i)[c] ln p_t(i)[c] in the last epoch; high is uncertain.
        mean_least_confidence: float32, the same averaged over all epochs.
        mean_margin: float32, likewise.
        mean_entropy: float32, likewise.
        tdds: float32, Temporal Dual-Depth Score (Zhang et al. 2024) of the first T = 30 epochs with windows of J = 10
            (``bench.training.tdds.TddsRecorder``); high is uncertain.
        tdds_early: float32, the same with T = 10 and J = 5, the authors' values where 90 % are removed.
        epochs: number of epochs observed.
    """

    aum: NDArray[np.float32]
    aum_logits: NDArray[np.float32]
    forgetting: NDArray[np.int32]
    learned: NDArray[np.bool_]
    el2n: NDArray[np.float32]
    correctness: NDArray[np.float32]
    confidence: NDArray[np.float32]
    variability: NDArray[np.float32]
    dyn_unc: NDArray[np.float32]
    dual: NDArray[np.float32]
    early_confidence: NDArray[np.float32]
    least_confidence: NDArray[np.float32]
    margin: NDArray[np.float32]
    entropy: NDArray[np.float32]
    mean_least_confidence: NDArray[np.float32]
    mean_margin: NDArray[np.float32]
    mean_entropy: NDArray[np.float32]
    tdds: NDArray[np.float32]
    tdds_early: NDArray[np.float32]
    epochs: int

    def __len__(self) -> int:
        return len(self.aum)

    def difficulty(self, score: Score = "aum", *, never_learned: NeverLearned = "hardest") -> NDArray[Any]:
        """Return one score per image with **high = hard**, whatever the score's own direction: float64 [N].

        For ``dyn-unc``, ``dual``, ``tdds``, ``least-confidence``, ``margin`` and ``entropy``, a high score means
        uncertain, not mislabelled: an image whose label the proxy never learns may have a low spread, or a confident
        prediction of another class. Methods that drop the hardest images because they may be mislabelled (beta of
        ``ccs``, ``d2`` and ``elfs``) drop uncertain images under these scores.

        Args:
            score: name of the score; ``aum``, ``aum-logits`` and ``margin`` are negated.
            never_learned: score under ``forgetting`` of images that were never correct: ``hardest`` (Toneva et al.
                2019), or ``zero``, the count that the released code of CCS and ELFS leaves them with (easiest).
                ``hardest`` is one more than the highest count among the learned images. Toneva et al. say infinitely
                many; the smallest number that ranks the same keeps sums of scores (D2's messages) and strata of equal
                width (CCS) on the scale of the counts.
        """
        if score == "forgetting":
            # A copy, since the next line writes into it.
            counts = self.forgetting.astype(np.float64)
            if never_learned == "hardest":
                counts[~self.learned] = counts[self.learned].max(initial=0) + 1
            return counts
        values: NDArray[Any] = getattr(self, score.replace("-", "_")).astype(np.float64)
        return -values if score in ("aum", "aum-logits", "margin") else values

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the fields as arrays, for storage."""
        return {item.name: np.asarray(getattr(self, item.name)) for item in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> Dynamics:
        """Return the dynamics stored by ``arrays``."""
        # An array of no dimensions when it comes from the store.
        return cls(**{**arrays, "epochs": int(arrays["epochs"])})  # type: ignore[arg-type]
