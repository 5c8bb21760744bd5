"""Networks that a spatial accelerator runs and that are no language models: by name, or ONNX files."""

from pathlib import Path
from typing import Any

from explorer.papers.mixdq_data import sdxl_attention, sdxl_layers
from hwbase.check import integer
from hwsim.npu.design import Npu
from hwsim.npu.onnx_products import onnx_products
from hwsim.npu.product import Product
from models.diffusion import TERRAIN_MODEL, terrain_file

SDXL = "sdxl-turbo"
NAMES = (SDXL, TERRAIN_MODEL)
#: Bytes of a precomputed value of the first token.
_FLOAT_BYTES = 2.0
#: Layers that read the text: their first token is the same for every prompt.
_TEXT_LAYERS = r"\.attn2\.to_[kv]$"


def is_network(model: object) -> bool:
    """Return whether `model` names a network of this module, or an ONNX file."""
    return isinstance(model, (str, Path)) and (str(model) in NAMES or Path(model).suffix.lower() == ".onnx")


def network_products(model: str | Path, design: Npu, *, batch: int = 1) -> list[Product]:
    """Return the products of one run of a network at the default widths of an accelerator.

    Parameters
    ----------
    model : str or Path
        "sdxl-turbo" (its U-Net at 512 x 512), "terrain", or an ONNX file.
    design : Npu
        Its widths apply: `attention_bits` to products of two activations.
    batch : int
        Images of a run.

    Returns
    -------
    list of Product

    Raises
    ------
    InputError
        For a package or file that is missing, or an operator that is unknown.
    """
    images = integer("batch", batch, high=1e6)
    if str(model) == SDXL:
        return _sdxl(design, images)
    path = terrain_file() if str(model) == TERRAIN_MODEL else Path(model)
    return onnx_products(
        path,
        batch=images,
        weight_bits=int(design.weight_bits),
        activation_bits=int(design.activation_bits),
        attention_bits=int(design.attention_bits),
    )


def _sdxl(design: Npu, images: int) -> list[Product]:
    """Return SDXL-Turbo's layers and attentions at 512 x 512.

    As published (MixDQ, arXiv 2405.17873): the first token of the text is precomputed in 16 bits for keys and values of
    cross-attention, products inside attention and the activations of a few layers stay in 16 bits.
    """
    layers = sdxl_layers()
    reads_text = layers["layer"].str.contains(_TEXT_LAYERS)
    products = []
    records: list[Any] = layers.to_dict(orient="records")
    for row, text in zip(records, reads_text, strict=True):
        products.append(
            Product(
                row["layer"],
                (row["tokens"] - int(text)) * images,
                row["in_ch"] * row["kernel"] ** 2,
                row["out_ch"],
                weight_bits=int(design.weight_bits),
                activation_bits=int(design.attention_bits if row["float_activations"] else design.activation_bits),
                kernel=row["kernel"],
                stride=row["stride"],
                width=row["width"],
                fixed_bytes=row["out_ch"] * _FLOAT_BYTES if text else 0.0,
            )
        )
    bits = int(design.attention_bits)
    attentions: list[Any] = sdxl_attention().to_dict(orient="records")
    for row in attentions:
        shared: dict[str, Any] = {
            "weight_bits": bits,
            "activation_bits": bits,
            "repeats": row["heads"] * images,
            "stored": False,
        }
        products.append(Product(f"{row['layer']}.scores", row["q_tokens"], row["head_dim"], row["kv_tokens"], **shared))
        products.append(Product(f"{row['layer']}.values", row["q_tokens"], row["kv_tokens"], row["head_dim"], **shared))
    return products
