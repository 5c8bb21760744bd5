"""The tiny network of `inference_cases`, and the real one where it is installed."""

import pytest
from inference_cases import random_weights, tiny_config, tiny_vocabulary

from models.inference import Tokenizer, Transformer, Vocabulary, Weights, read_model


@pytest.fixture(scope="session")
def weights() -> Weights:
    return random_weights(tiny_config())


@pytest.fixture
def model(weights: Weights) -> Transformer:
    return Transformer(weights)


@pytest.fixture(scope="session")
def vocabulary() -> Vocabulary:
    return tiny_vocabulary()


@pytest.fixture(scope="session")
def real() -> tuple[Weights, Tokenizer]:
    weights, vocabulary = read_model()
    return weights, Tokenizer(vocabulary)
