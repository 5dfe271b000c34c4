"""How the ridge judge judges the committed coresets by either kind of input, see PLAN.md; writes inputs.csv.

python results/judge/inputs.py D E F H160 --data-root DATA --weights FILE

Judges each coreset of ``random`` and of the fixed betas twice: on the features that the judge has for a network on
images, and on those for a linear model on embeddings. Trains nothing, and reads no label.
"""

from __future__ import annotations

from committed import arguments, coresets, opened, write_beside
from study import HERE

from bench.judging.ridge import PENALTY, quality
from bench.stages.judging import JudgeFeatures, Labelings


def main() -> None:
    """Compute the named lines and write them beside those that the file has."""
    given, made = arguments(__doc__), []
    for line in given.lines:
        with opened(line, given) as (session, embeddings):
            pool = embeddings.dataset
            for cell, positions in coresets(line, session.dataset(pool)):
                seed = int(cell["seed"])
                labelings = Labelings(embeddings=embeddings, num_classes=pool.num_classes, seed=seed)
                for_images = JudgeFeatures(dataset=pool, embeddings=None, seed=seed)
                for_embeddings = JudgeFeatures(dataset=pool, embeddings=embeddings, seed=0)
                judged = {
                    stage.what: quality(
                        session.arrays(stage)["features"],
                        session.arrays(labelings)["labelings"],
                        positions,
                        PENALTY[stage.what],
                    )
                    for stage in (for_images, for_embeddings)
                }
                made.append(cell | {what: f"{value:.6f}" for what, value in judged.items()})
    write_beside(HERE / "inputs.csv", made)


if __name__ == "__main__":
    main()
