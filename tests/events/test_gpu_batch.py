"""Sequences kept as offsets, against a plain list of contexts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.events.gpu.batch import Batch

WINDOW, BLOCK = 20, 4


def check(batch, contexts):
    found = batch.decoding()
    assert found.sequences == len(contexts) == len(batch)
    assert found.positions == sum(contexts.values())
    assert found.windowed == sum(min(context, WINDOW) for context in contexts.values())
    assert found.inside == sum(context < WINDOW for context in contexts.values())
    for ahead in (0, 1, 7):
        assert batch.blocks(ahead) == sum(-(-(context + ahead) // BLOCK) for context in contexts.values())


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 40), st.integers(1, 30)), max_size=60))
@pytest.mark.slow
def test_a_batch_knows_its_contexts(moves):
    batch, contexts, ends = Batch(WINDOW, BLOCK), {}, {}
    for request, (move, positions, steps) in enumerate(moves):
        if move == 0 or not contexts:
            batch.add(request, positions, steps)
            contexts[request], ends[request] = positions, steps
        elif move == 1:
            gone = min(contexts)
            assert batch.drop(gone) == contexts.pop(gone)
            # And back at once, with a context and an end that may be the ones it had.
            batch.add(gone, positions, ends[gone])
            contexts[gone] = positions
        else:
            until = min(ends[r] for r in contexts)
            crossing = [WINDOW - context for context in contexts.values() if context < WINDOW]
            assert batch.unchanged_steps() == min([until, *crossing])
            ended = batch.advance(batch.unchanged_steps())
            went = min([until, *crossing])
            contexts = {r: context + went for r, context in contexts.items()}
            ends = {r: ends[r] - went for r in contexts}
            assert sorted(ended) == sorted(r for r in contexts if ends[r] == 0)
            for done in ended:
                assert batch.drop(done) == contexts.pop(done)
        check(batch, contexts)
