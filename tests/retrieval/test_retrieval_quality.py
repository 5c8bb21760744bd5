"""Ranking measures by hand, collections from files, and `hwsim retrieve` as a user calls it."""

import json
import subprocess
import sys

import numpy as np
import pytest

from explorer.commands import app as cli
from explorer.retrieval import inputs
from explorer.retrieval.collection import Collection, Texts, read_collection, read_texts
from explorer.retrieval.embedding import embed
from explorer.retrieval.evaluate import Estimate, Search, difference, estimates, evaluate, query_metrics
from explorer.retrieval.storage import load_index
from hwbase import InputError
from models.binarize import unit

DOCUMENTS, QUERIES, DIMS = 150, 40, 32
PROCESS = "from explorer.commands.app import main; main()"


def test_metrics_by_hand():
    ranked = np.array([[7, 1, 2, 3], [9, 8, 5, 4], [0, -1, -1, -1]])
    grades = [{1: 2.0, 3: 1.0, 99: 1.0}, {6: 1.0}, {0: 3.0}]
    found = query_metrics(ranked, grades)
    assert found["recall@1"].tolist() == [0, 0, 1] and found["hit@10"].tolist() == [1, 0, 1]
    assert found["recall@10"].tolist() == [2 / 3, 0, 1]
    assert found["mrr@10"].tolist() == [0.5, 0, 1]
    gained = 2 / np.log2(3) + 1 / np.log2(5)
    best = 2 + 1 / np.log2(3) + 1 / np.log2(4)
    np.testing.assert_allclose(found["ndcg@10"], [gained / best, 0, 1])


@pytest.mark.slow
def test_intervals_are_those_of_the_mean():
    rng = np.random.default_rng(2)
    values = (rng.random(1000) < 0.3).astype(float)
    found = estimates({"hit": values, "all": np.ones(1000)})
    error = values.std() / np.sqrt(1000)
    assert found["hit"].mean == values.mean()
    assert found["hit"].high - found["hit"].low == pytest.approx(2 * 1.96 * error, rel=0.1)
    assert (found["all"].low, found["all"].high) == (1.0, 1.0)
    assert estimates({"hit": values}) == estimates({"hit": values})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A collection whose queries are noisy copies of their documents, with embeddings, good and broken."""
    made = tmp_path_factory.mktemp("collection")
    rng = np.random.default_rng(4)
    documents = unit(rng.standard_normal((DOCUMENTS, DIMS)).astype(np.float32))
    queries = unit(documents[:QUERIES] + 0.12 * rng.standard_normal((QUERIES, DIMS)).astype(np.float32))
    np.save(made / "docs.npy", documents)
    np.save(made / "queries.npy", queries)

    def texts(name, rows):
        (made / name).write_text("".join(json.dumps(row) + "\n" for row in rows))

    texts("docs.jsonl", [{"id": f"d{i}", "text": f"text {i}"} for i in range(DOCUMENTS)])
    texts("q.jsonl", [{"id": f"q{i}", "text": f"question {i}"} for i in range(QUERIES)])
    judgements = [(f"q{i}", f"d{i}", 1) for i in range(QUERIES - 5)] + [("q39", "d1", 0)]
    (made / "qrels.tsv").write_text(
        "query-id\tcorpus-id\tscore\n" + "".join("{}\t{}\t{}\n".format(*j) for j in judgements)
    )
    (made / "trec.txt").write_text("".join("{} 0 {} {}\n".format(*j) for j in judgements))
    np.save(made / "short.npy", documents[:-1])
    np.save(made / "wide.npy", np.ones((QUERIES, DIMS + 1), np.float32))
    broken = documents.copy()
    broken[11, 3] = np.nan
    np.save(made / "nan.npy", broken)
    (made / "half.npy").write_bytes((made / "docs.npy").read_bytes()[:900])
    np.save(made / "object.npy", np.array([{}], dtype=object))
    (made / "empty.jsonl").write_text("\n")
    (made / "json.jsonl").write_text('{"id": "a", "text": "b"}\n{"id": "c", "text"\n')
    texts("list.jsonl", [["a", "b"]])
    texts("twice.jsonl", [{"id": "a", "text": "b"}, {"id": "b", "text": "b"}, {"id": "a", "text": "c"}])
    texts("no-id.jsonl", [{"text": "b"}])
    texts("no-text.jsonl", [{"id": "a", "text": 7}])
    (made / "latin.jsonl").write_bytes('{"id": "a", "text": "caf\xe9"}'.encode("latin-1"))
    for name, line in {
        "unknown-query": "q77 d1 1",
        "unknown-document": "q1 d777 1",
        "grade": "q1 d1 yes",
        "nan-grade": "q1 d1 nan",
        "columns": "q1 d1",
        "again": "q0 d0 1",
    }.items():
        (made / f"{name}.qrels").write_text(f"q0 d0 1\n{line}\n")
    (made / "none.qrels").write_text("q0 d0 0\n")
    (made / "empty.qrels").write_text("")
    return made


@pytest.fixture
def call(capsys, folder, monkeypatch):
    """Run the command in the folder; returns (exit status, standard output, standard error)."""
    monkeypatch.chdir(folder)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["hwsim", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main(list(arguments))
        captured = capsys.readouterr()
        return ended.value.code, captured.out, captured.err

    return run


FILES = {
    "--corpus": "docs.jsonl",
    "--queries": "q.jsonl",
    "--qrels": "qrels.tsv",
    "--embeddings": "docs.npy,queries.npy",
}


def options(**changed):
    chosen = FILES | {f"--{name.replace('_', '-')}": value for name, value in changed.items()}
    return [part for pair in chosen.items() for part in pair]


def test_eval_scores_a_codec(call):
    status, out, err = call("retrieve", "eval", *options(), "--codec", "float32", "--json")
    found = json.loads(out)
    assert (status, err) == (0, "")
    assert (found["documents"], found["queries"], found["dims"]) == (DOCUMENTS, QUERIES - 5, DIMS)
    assert found["bits_per_vector"] == 32 * DIMS and found["index_bytes"] == 4 * DIMS * DOCUMENTS
    assert found["metrics"]["recall@1"] == {"mean": 1.0, "low": 1.0, "high": 1.0}
    assert found["queries_per_s"] > 0
    assert {"recall@1", "recall@10", "recall@100", "mrr@10", "ndcg@10"} <= set(found["metrics"])


@pytest.mark.slow
def test_fewer_bits_find_less_and_rescoring_finds_it_again(call):
    def recall(*more):
        status, out, _ = call("retrieve", "eval", *options(), "--json", *more)
        assert status == 0
        found = json.loads(out)
        assert found["metrics"]["recall@1"]["low"] <= found["metrics"]["recall@1"]["mean"]
        return found["metrics"]["recall@1"]["mean"]

    few = ("--codec", "itq:8")
    # So few queries may find as many by signs as by unrounded queries: which ties are kept depends on the processor.
    assert recall(*few) <= recall(*few, "--asymmetric") < recall(*few, "--rescore", "100") <= 1.0
    assert recall(*few, "--lists", "10", "--probes", "10") == recall(*few)


def test_judgements_of_trec_say_the_same(call):
    answers = [
        json.loads(call("retrieve", "eval", *options(qrels=name), "--codec", "sign", "--json")[1])["metrics"]
        for name in ("qrels.tsv", "trec.txt")
    ]
    assert answers[0] == answers[1]


@pytest.mark.slow
def test_several_codecs_make_a_table(call, tmp_path):
    both = ("--codec", "sign", "--codec", "recurrent:2")
    status, out, _ = call("retrieve", "eval", *options(), *both)
    assert status == 0 and "sign" in out and "recurrent:2" in out and "±" in out
    _, out, _ = call("retrieve", "eval", *options(), *both, "--json")
    first, second = json.loads(out)["rows"]
    assert [first["codec"], second["codec"]] == ["sign", "recurrent:2"] and "beyond_first" not in first
    beyond = second["beyond_first"]["ndcg@10"]
    means = [found["metrics"]["ndcg@10"]["mean"] for found in (first, second)]
    assert beyond["mean"] == pytest.approx(means[1] - means[0]) and beyond["low"] <= beyond["mean"] <= beyond["high"]
    status, out, _ = call("retrieve", "eval", *options(), *both, "--out", str(tmp_path / "table.csv"))
    assert status == 0 and (tmp_path / "table.csv").read_text().startswith("codec,bits,metric,mean,low,high")


def test_build_and_query(call, folder, tmp_path):
    place = str(tmp_path / "index")
    build = ("retrieve", "build", "--corpus", "docs.jsonl", "--embeddings", "docs.npy", "--out", place)
    status, out, err = call(*build, "--codec", "recurrent:2", "--rescore-with", "int8", "--lists", "4", "--json")
    assert (status, err) == (0, "") and json.loads(out)["documents"] == DOCUMENTS
    ask = ("retrieve", "query", "--index", place, "--embeddings", "queries.npy", "--k", "3")
    status, out, _ = call(*ask, "--probes", "4", "--rescore", "50", "--json")
    answers = json.loads(out)["rows"]
    assert status == 0 and [len(a["found"]) for a in answers] == [3] * QUERIES
    assert [a["found"][0]["id"] for a in answers] == [f"d{i}" for i in range(QUERIES)]
    assert call(*ask, "--tag", "x")[0] == 2
    # A failed build leaves the index that was there.
    assert call(*build[:-3], "nan.npy", "--out", place)[0] == 2
    assert json.loads(call(*ask, "--probes", "4", "--rescore", "50", "--json")[1])["rows"] == answers


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"codec": "flaot16"}, "did you mean 'float16'"),
        ({"codec": "pca:64"}, "dims = 64"),
        ({"codec": "recurrent:9"}, "planes = 9"),
        ({"rescore": "20", "rescore_with": "int9"}, "did you mean 'int"),
        ({"corpus": "empty.jsonl"}, "empty.jsonl is empty"),
        ({"corpus": "json.jsonl"}, "json.jsonl, line 2 is not valid JSON"),
        ({"corpus": "list.jsonl"}, "list.jsonl, line 1"),
        ({"corpus": "twice.jsonl"}, "twice.jsonl, line 3: id 'a' is given twice, first in line 1"),
        ({"corpus": "no-id.jsonl"}, "line 1: id = None"),
        ({"corpus": "no-text.jsonl"}, "line 1: text = '7'"),
        ({"corpus": "latin.jsonl"}, "is not UTF-8"),
        ({"corpus": "missing.jsonl"}, "cannot read 'missing.jsonl'"),
        ({"corpus": "."}, "cannot read '.'"),
        ({"queries": "empty.jsonl"}, "expected queries"),
        ({"qrels": "unknown-query.qrels"}, "line 2: query 'q77' is not among the 40 queries"),
        ({"qrels": "unknown-document.qrels"}, "line 2: document 'd777' is not among the 150 documents"),
        ({"qrels": "grade.qrels"}, "line 2: grade 'yes'"),
        ({"qrels": "nan-grade.qrels"}, "line 2: grade 'nan'"),
        ({"qrels": "columns.qrels"}, "line 2: 'q1 d1'"),
        ({"qrels": "again.qrels"}, "line 2: 'q0' and 'd0' are judged twice, first in line 1"),
        ({"qrels": "none.qrels"}, "no judgement above 0"),
        ({"qrels": "empty.qrels"}, "no judgement above 0"),
        ({"embeddings": "docs.npy"}, "expected documents.npy,queries.npy"),
        ({"embeddings": "short.npy,queries.npy"}, "short.npy has 149 rows: expected 150"),
        ({"embeddings": "docs.npy,wide.npy"}, "have 33 dimensions: expected 32"),
        ({"embeddings": "nan.npy,queries.npy"}, "NaN or infinity in row 11"),
        ({"embeddings": "half.npy,queries.npy"}, "is not a whole .npy file"),
        ({"embeddings": "object.npy,queries.npy"}, "is not a whole .npy file"),
        ({"embeddings": "docs.jsonl,queries.npy"}, "is not a whole .npy file"),
        ({"embeddings": "missing.npy,queries.npy"}, "cannot read 'missing.npy'"),
        ({"lists": "nan"}, "lists = 'nan'"),
        ({"lists": "151"}, "expected at most the 150"),
        ({"probes": "2"}, "--probes has no effect here"),
        ({"rescore": "5"}, "rescore = 5"),
        ({"train_queries": "q.jsonl"}, "expected both --train-queries"),
        ({"out": "no/where.json"}, "expected a folder that exists"),
    ],
)
def test_bad_input_exits_with_2_and_one_sentence(call, folder, changed, message):
    before = sorted(path.name for path in folder.iterdir())
    status, out, err = call("retrieve", "eval", *options(**changed))
    assert status == 2 and out == "" and message in err
    assert len(err.strip().splitlines()) == 1 and "Traceback" not in err
    assert sorted(path.name for path in folder.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["build", "--corpus", "docs.jsonl", "--embeddings", "docs.npy", "--out", "no/where"], "expected a folder"),
        (["build", "--corpus", "docs.jsonl", "--embeddings", "docs.npy", "--out", "docs.npy"], "expected a folder"),
        (
            ["build", "--corpus", "docs.jsonl", "--embeddings", "docs.npy", "--out", "."],
            "files that do not belong to an index",
        ),
        (["build", "--corpus", "docs.jsonl", "--out", "x", "--codec", "sing"], "did you mean 'sign'"),
        (
            ["build", "--corpus", "docs.jsonl", "--out", "x", "--train-qrels", "qrels.tsv"],
            "expected both --train-queries",
        ),
        (["query", "--index", ".", "--embeddings", "queries.npy"], "expected the folder of an index"),
        (["query", "--index", ".", "--text", "a", "--embeddings", "queries.npy"], "and not both"),
        (["query", "--index", "."], "expected --text or --embeddings"),
        (["query", "--index", ".", "--embeddings", "queries.npy", "--k", "many"], "k = 'many'"),
    ],
)
def test_bad_input_of_build_and_query(call, folder, arguments, message):
    before = sorted(path.name for path in folder.iterdir())
    status, out, err = call("retrieve", *arguments)
    assert status == 2 and out == "" and message in err
    assert sorted(path.name for path in folder.iterdir()) == before


@pytest.mark.slow
def test_it_runs_as_a_process(folder):
    done = subprocess.run(
        [sys.executable, "-c", PROCESS, "retrieve", "eval", *options(), "--codec", "int4", "--json"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["bits_per_vector"] == 4 * DIMS


def test_differences_are_of_the_same_queries(folder):
    documents, queries = np.load(folder / "docs.npy"), np.load(folder / "queries.npy")
    names = Texts(tuple(f"d{i}" for i in range(DOCUMENTS)), ("",) * DOCUMENTS)
    asked = Texts(tuple(f"q{i}" for i in range(QUERIES)), ("",) * QUERIES)
    collection = Collection("made", names, asked, tuple({i: 1.0} for i in range(QUERIES)))
    fine, coarse = (evaluate(collection, documents, queries, name) for name in ("float32", "itq:4"))
    found = difference(fine, coarse)["recall@10"]
    alone = fine.metrics["recall@10"].mean - coarse.metrics["recall@10"].mean
    assert found.mean == pytest.approx(alone) and found.low > 0
    assert set(difference(fine, fine).values()) == {Estimate(0.0, 0.0, 0.0)}
    fewer = Collection("made", names, Texts(asked.ids[:9], asked.texts[:9]), collection.grades[:9])
    with pytest.raises(InputError, match="expected the same queries in both"):
        difference(fine, evaluate(fewer, documents, queries[:9], "sign"))


def test_a_trained_codec_learns_from_judged_pairs(folder):
    documents, queries = np.load(folder / "docs.npy"), np.load(folder / "queries.npy")
    names = Texts(tuple(f"d{i}" for i in range(DOCUMENTS)), ("",) * DOCUMENTS)
    asked = Texts(tuple(f"q{i}" for i in range(QUERIES)), ("",) * QUERIES)
    collection = Collection("made", names, asked, tuple({i: 1.0} for i in range(QUERIES)))
    found = evaluate(collection, documents, queries, "bebr:2x16", training=(queries, documents[:QUERIES]))
    assert found.bits_per_vector == 32 and found.fit_s > 0 and 0 <= found.metrics["recall@10"].mean <= 1
    with pytest.raises(InputError, match="39 training queries and 40 documents"):
        evaluate(collection, documents, queries, "bebr:2x16", training=(queries[:39], documents[:40]))
    with pytest.raises(InputError, match="39 embeddings of queries: expected 40"):
        evaluate(collection, documents, queries[:39], "sign", search=Search())


class Counting:
    """A model that counts what it embeds: the length of each text."""

    dims, fingerprint = 2, "counting"

    def __init__(self):
        self.embedded = 0

    def embed(self, texts, report=None):
        self.embedded += len(texts)
        return np.array([[len(text), 1] for text in texts], np.float32).reshape(-1, 2)


def test_embeddings_are_kept_by_their_content(tmp_path):
    model = Counting()
    texts = ["a", "bb", "ccc"]
    first = embed(texts, encoder=model, cache=tmp_path)
    assert (embed(texts, encoder=model, cache=tmp_path) == first).all() and model.embedded == 3
    embed(["a", "bbc", "cc"], encoder=model, cache=tmp_path)
    assert model.embedded == 6
    # A file that is cut is made again.
    for file in tmp_path.glob("*.npy"):
        file.write_bytes(file.read_bytes()[:-4])
    assert (embed(texts, encoder=model, cache=tmp_path) == first).all() and model.embedded == 9
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        embed(texts, encoder=model, cache=tmp_path / "file")
    assert embed([], encoder=model, cache=tmp_path).shape == (0, 2)


def test_readers_take_what_others_write(tmp_path):
    (tmp_path / "docs.jsonl").write_text(
        '\ufeff{"_id": 3, "title": "x", "text": "a"}\r\n\n{"id": "b", "text": "", "title": null, "tags": {}}\n'
        '{"id": "c", "text": "t", "title": ""}\n'
    )
    documents = read_texts(tmp_path / "docs.jsonl", "documents")
    assert documents.ids == ("3", "b", "c") and documents.texts == ("x a", "", "t") and documents.tags == ()
    for layout in (
        "3\tb\t2\nb 3 1.5\n",
        "query-id\tcorpus-id\tscore\n3\tb\t2\nb\t3\t1.5\nc\t3\t0\n",
        "\ufeff3 0 b 2\r\nb Q0 3 1.5\r\nb 0 c -1\r\n",
    ):
        (tmp_path / "qrels").write_bytes(layout.encode())
        found = read_collection(documents, documents, tmp_path / "qrels")
        assert found.grades == ({1: 2.0}, {0: 1.5}) and found.queries.ids == ("3", "b")


@pytest.mark.slow
def test_an_index_is_built_of_codes_that_learned_from_judged_pairs(call, folder, tmp_path, monkeypatch):
    # Texts of queries are those of the file, so that the model need not be there.
    vectors = np.load(folder / "queries.npy")
    monkeypatch.setattr(inputs, "embed", lambda texts, **_: np.stack([vectors[int(text.split()[1])] for text in texts]))
    build = ("retrieve", "build", "--corpus", "docs.jsonl", "--embeddings", "docs.npy", "--codec", "bebr:2x16")
    learned = ("--train-queries", "q.jsonl", "--train-qrels", "qrels.tsv")
    for name, more in (("learned", learned), ("alone", ())):
        assert call(*build, "--out", str(tmp_path / name), *more)[0] == 0
    codes = [load_index(tmp_path / name).segments[0] for name in ("learned", "alone")]
    assert codes[0].data.shape == codes[1].data.shape and (codes[0].data != codes[1].data).any()


@pytest.mark.slow
def test_tags_narrow_a_search(call, folder, tmp_path):
    lines = [
        {"id": f"d{i}", "text": f"text {i}", **tag} for i, tag in zip(range(DOCUMENTS), _tags_in_turn(), strict=False)
    ]
    (tmp_path / "tagged.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    place = str(tmp_path / "index")
    build = ("retrieve", "build", "--corpus", str(tmp_path / "tagged.jsonl"), "--embeddings", "docs.npy")
    assert call(*build, "--out", place)[0] == 0
    ask = ("retrieve", "query", "--index", place, "--embeddings", "queries.npy", "--k", "200", "--json")

    def found(*more):
        status, out, err = call(*ask, *more)
        assert (status, err) == (0, "")
        return {int(hit["id"][1:]) for answer in json.loads(out)["rows"] for hit in answer["found"]}

    assert found() == set(range(DOCUMENTS))
    assert found("--tag", "red") == {i for i in range(DOCUMENTS) if i % 4 in (0, 1)}
    assert found("--tag", "blue") == {i for i in range(DOCUMENTS) if i % 4 == 1}
    assert found("--tag", "7") == {i for i in range(DOCUMENTS) if i % 4 == 2}
    status, out, err = call(*ask, "--tag", "rde")
    assert status == 2 and out == "" and "did you mean 'red'" in err
    (tmp_path / "tagged.jsonl").write_text('{"id": "a", "text": "b", "tags": [{}]}\n')
    status, _, err = call(*build, "--out", str(tmp_path / "other"))
    assert status == 2 and "line 1: tags = '[{}]': expected a name or a list of names" in err
    assert not (tmp_path / "other").exists()


def _tags_in_turn():
    while True:
        yield from ({"tag": "red"}, {"tags": ["red", "blue", "red"]}, {"tag": 7}, {})


def test_a_query_that_is_a_document_does_not_find_itself(tmp_path):
    """BEIR leaves out the document with the query's id, unless ids agree by chance and it is judged."""
    texts = Texts(("a", "b", "c"), ("a", "b", "c"))
    vectors = np.array([[1.0, 0.1], [1.0, 0.2], [0.0, 1.0]], np.float32)
    asked = Texts(("a",), ("a",))
    other = evaluate(Collection("self", texts, asked, ({1: 1.0},)), vectors, vectors[:1], "float32")
    assert other.metrics["ndcg@10"].mean == 1.0 and other.own_left_out == 1
    chance = evaluate(Collection("self", texts, asked, ({0: 1.0},)), vectors, vectors[:1], "float32")
    assert chance.metrics["recall@1"].mean == 1.0 and chance.own_left_out == 0


def test_judged_documents_that_are_not_there_count_as_not_found(tmp_path):
    documents, queries = Texts(("a", "b"), ("a", "b")), Texts(("q", "r"), ("q", "r"))
    path = tmp_path / "qrels.tsv"
    path.write_text("q 0 a 1\nq 0 gone 1\nr 0 b 1\n")
    with pytest.raises(InputError, match="document 'gone' is not among the 2 documents"):
        read_collection(documents, queries, path)
    collection = read_collection(documents, queries, path, missing=True)
    assert collection.missing == 1
    result = evaluate(collection, np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32), "float32")
    assert result.metrics["recall@10"].mean == 0.75 and result.missing_answers == 1
    path.write_text("q 0 gone 1\n")
    with pytest.raises(InputError, match="none of the judged documents"):
        read_collection(documents, queries, path, missing=True)


def test_a_fourth_column_that_is_no_grade_is_refused(tmp_path):
    """A time stamp after three columns is not TREC's layout."""
    path = tmp_path / "qrels.tsv"
    path.write_text("q\ta\t1\t1700000000\n")
    with pytest.raises(InputError, match="expected 'query 0 document grade', or three columns"):
        read_collection(Texts(("a", "1"), ("a", "1")), Texts(("q",), ("q",)), path)
