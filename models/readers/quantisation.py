"""Bits per weight of a checkpoint, matrix by matrix: a scheme's rules applied to the names of the matrices."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from hwbase import FORMATS, InputError, number_format
from models.layers import FeedForward, Matrix, Mixer, Tower
from models.readers.config import Config
from models.readers.names import EMBEDDING, HEAD, is_named_only, matrix_names, numbered
from models.readers.network import Network
from models.readers.rules import Rules
from models.readers.schemes import Scheme, WeightFormat

#: Number formats that a configuration may name as its dtype.
DTYPES = ("fp32", "fp16", "bf16")
#: A name that a tower's matrices may have, one for each way of naming them.
_TOWER_NAMES = (
    "visual.blocks.0.attn.qkv", "vision_tower.encoder.layers.0.self_attn.q_proj", "vision_model.layers.0.mlp.fc1",
    "vision_tower.transformer.layers.0.attention.q_proj", "vision_tower.vision_model.encoder.layers.0.mlp.fc1",
    "vision_tower.encoder.blocks.0.wqkv",
)  # fmt: skip


@dataclass
class Tally:
    """Elements and bits of a component's matrices, and how many elements each format has."""

    elements: int = 0
    bits: float = 0
    formats: Counter[str] = field(default_factory=Counter)

    def add(self, matrix: Matrix, chosen: WeightFormat, copies: int) -> None:
        """Count `copies` of a matrix in the chosen format."""
        elements = copies * matrix.inputs * matrix.outputs
        self.elements += elements
        self.bits += copies * chosen.stored_bits(matrix.inputs, matrix.outputs)
        self.formats[chosen.label] += elements

    def mean(self, otherwise: float) -> float:
        """Return the bits per weight, `otherwise` where there are none."""
        return self.bits / self.elements if self.elements else otherwise

    def commonest(self, plain: WeightFormat) -> str:
        """Return the name of the format of most elements, "" for the plain one."""
        name = self.formats.most_common(1)[0][0] if self.formats else ""
        return "" if name == plain.label else name


def plain_format(config: Config, outer: Config) -> WeightFormat:
    """Return the format of what is not quantised: the configuration's dtype, bfloat16 if it has none."""
    for each in (config, outer):
        name = each.text("dtype", each.text("torch_dtype", "")).removeprefix("torch.")
        if name:
            return WeightFormat(number_format(name, f"dtype in {each.where}:", among=DTYPES))
    return WeightFormat(FORMATS["bf16"])


def with_expert_format(scheme: Scheme, config: Config) -> Scheme:
    """Return the scheme with the experts' own format, where the configuration says one (`expert_dtype`)."""
    if not config.has("expert_dtype") or config.text("expert_dtype") == "fp8":
        return scheme
    if config.text("expert_dtype") != "fp4":
        raise config.error("expert_dtype", config.get("expert_dtype"), "fp4 or fp8")
    return replace(scheme, experts=WeightFormat(FORMATS["mxfp4"]))


def weight_fields(network: Network, scheme: Scheme, plain: WeightFormat) -> dict[str, Any]:
    """Return the fields of a spec for the formats of weights and cache.

    Raises `InputError` for a rule that names no matrix of the network.
    """
    tallies = {name: Tally() for name in ("attention", "router", "experts", "shared_experts", "dense_ffn")}
    rules_in_all = list(_all_rules(scheme))
    components = {matrix.component for mixer in network.mixing for matrix in mixer.matrices}
    components |= {matrix.component for block in network.blocks for matrix in block.matrices}
    if scheme.components and components.isdisjoint(scheme.components):
        kinds = " and ".join(scheme.components)
        raise InputError(f"the quantisation is of {kinds}, which the network has not: expected another quant_method")
    for layer, (mixer, block, layers) in enumerate(_layers(network, one_by_one=bool(rules_in_all))):
        for matrix in (*mixer.matrices, *block.matrices):
            names = matrix_names(network.family, mixer.kind, matrix)
            for paths, copies in _instances(names, layer, matrix, rules_in_all):
                tallies[matrix.component].add(matrix, _chosen(paths, matrix, scheme, plain), copies * layers)
    head, embedding = (_named(names, scheme, plain) for names in (HEAD, EMBEDDING))
    for rules in rules_in_all:
        rules.check_used(len(network.mixing))
    return _fields(tallies, network, scheme, plain, head, embedding)


def tower_bits(towers: tuple[Tower, ...], scheme: Scheme, plain: WeightFormat) -> tuple[Tower, ...]:
    """Return towers with their bits per weight: the scheme's where it is about all linear layers, the dtype's else."""
    bits = plain.codes.bits_per_weight
    if scheme.towers and scheme.formats and not any(rules.match(_TOWER_NAMES) for rules in scheme.kept):
        for rules, chosen in scheme.formats:
            if rules.match(_TOWER_NAMES):
                bits = chosen.codes.bits_per_weight
                break
    return tuple(replace(tower, weight_bits=float(bits)) for tower in towers)


def _layers(network: Network, one_by_one: bool) -> Iterable[tuple[Mixer, FeedForward, int]]:
    """Return (mixer, block, number of layers); equal layers are one unless rules may tell them apart."""
    layers = zip(network.mixing, network.blocks, strict=True)
    if one_by_one:
        return ((*layer, 1) for layer in layers)
    return ((*layer, count) for layer, count in Counter(layers).items())


def _all_rules(scheme: Scheme) -> Iterator[Rules]:
    yield from scheme.kept
    for rules, _ in scheme.formats:
        yield rules


def _instances(
    names: tuple[str, ...], layer: int, matrix: Matrix, rules_in_all: list[Rules]
) -> Iterator[tuple[list[str], int]]:
    """Yield the paths of a matrix's copies and how many copies they stand for.

    Experts that rules name are asked one by one, the others together.
    """
    named: set[int] = set()
    if matrix.component == "experts":
        for rules in rules_in_all:
            named |= rules.named_experts.get(layer, set()) | rules.named_experts.get(None, set())
        named = {expert for expert in named if expert < matrix.copies}
    possible = _possible(names, rules_in_all) if named else []
    for expert in sorted(named):
        yield numbered(possible, layer, expert), 1
    if len(named) < matrix.copies:
        other = next(expert for expert in range(matrix.copies) if expert not in named)
        yield numbered(names, layer, other), matrix.copies - len(named)


def _possible(names: tuple[str, ...], rules_in_all: list[Rules]) -> list[str]:
    """Return the names whose last word some rule has, all of them where patterns may have any."""
    words: set[str] = set()
    for rules in rules_in_all:
        if rules.words is None:
            return list(names)
        words |= rules.words
    return [name for name in names if name.rsplit(".", 1)[-1] in words]


def _chosen(paths: list[str], matrix: Matrix, scheme: Scheme, plain: WeightFormat) -> WeightFormat:
    by_class = not is_named_only(matrix)
    # Every list is asked, so that rules that are about some matrix are known.
    kept = [rules.match(paths, by_class=False) for rules in scheme.kept]
    matched = [chosen for rules, chosen in scheme.formats if rules.match(paths, by_class=False)]
    if any(kept):
        # What is left out of a scheme may still be named by one of its formats' own rules.
        return matched[0] if matched and scheme.named_first else plain
    if scheme.components and matrix.component not in scheme.components:
        return plain
    if matched:
        return matched[0]
    if scheme.experts and matrix.component == "experts":
        return scheme.experts
    general = [chosen for rules, chosen in scheme.formats if by_class and rules.match(paths)]
    return general[0] if general else plain


def _named(names: tuple[str, ...], scheme: Scheme, plain: WeightFormat) -> WeightFormat:
    """Return the format of what rules for all linear layers leave out."""
    kept = [rules.match(names, by_class=False) for rules in scheme.kept]
    if any(kept):
        return plain
    matched = [chosen for rules, chosen in scheme.formats if rules.match(names, by_class=False)]
    return matched[0] if matched else plain


def _fields(
    tallies: dict[str, Tally],
    network: Network,
    scheme: Scheme,
    plain: WeightFormat,
    head: WeightFormat,
    embedding: WeightFormat,
) -> dict[str, Any]:
    bits = float(plain.codes.bits_per_weight)
    vocab, hidden = network.fields["vocab_size"], network.fields["hidden_size"]
    table = Matrix(role="head", component="dense_ffn", inputs=hidden, outputs=vocab)
    heads, tables = Tally(), Tally()
    heads.add(table, head, 1)
    tables.add(table, embedding, 1)
    shared, dense = tallies["shared_experts"], tallies["dense_ffn"]
    ffn = dense.mean(shared.mean(bits))
    own = shared.mean(ffn)
    return {
        "embedding_weight_bits": tables.mean(bits),
        "unembedding_weight_bits": None if head == embedding else heads.mean(bits),
        "attention_weight_bits": tallies["attention"].mean(bits),
        "ffn_weight_bits": ffn,
        "shared_expert_weight_bits": None if own == ffn else own,
        "expert_weight_bits": tallies["experts"].mean(bits),
        "router_weight_bits": tallies["router"].mean(bits),
        "other_weight_bits": bits,
        "attention_format": tallies["attention"].commonest(plain),
        "ffn_format": (dense if dense.elements else shared).commonest(plain),
        "expert_format": tallies["experts"].commonest(plain),
    } | ({} if scheme.kv_cache_bits is None else {"kv_cache_bits": scheme.kv_cache_bits})
