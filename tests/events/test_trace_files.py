"""Traces: what a file says is read as it is, or refused with its line."""

import pytest

from hwbase import InputError
from hwsim.events.traffic import read_trace

HEAD = "arrival_s,prompt_tokens,output_tokens"
AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens"


def trace(tmp_path, *lines):
    path = tmp_path / "trace.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_blank_lines_and_spaces_are_skipped(tmp_path):
    sent = read_trace(trace(tmp_path, "arrival_s, prompt_tokens, output_tokens", "0, 10, 5", "", "1, 20, 6", ""))
    assert sent.arrival_s.tolist() == [0, 1] and sent.prompt_tokens.tolist() == [10, 20]


def test_seconds_since_1970_and_time_stamps_with_zones_are_read(tmp_path):
    assert read_trace(trace(tmp_path, HEAD, "1715299200,1,1", "1715299200.5,1,1")).arrival_s.tolist() == [0.0, 0.5]
    zoned = trace(tmp_path, AZURE, "2024-03-31 01:59:59+01:00,1,1", "2024-03-31 03:00:01+02:00,1,1")
    assert read_trace(zoned).arrival_s.tolist() == [0.0, 2.0]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ((HEAD, "0.0,512,640,3", "1.5,600,800,4"), "line 2: 4 cells: expected 3, as in the header"),
        ((HEAD, "0,10,5,"), "line 2: 4 cells"),
        ((HEAD, "0,10,5", "", "1,20"), "line 4: 2 cells"),
        ((HEAD + ",text", '0,10,5,"a', 'b"', "1,0,6,x"), "line 4: prompt_tokens = '0'"),
        ((AZURE, "1715299200000,512,64", "1715299200500,512,64"), "line 2: TIMESTAMP = '1715299200000'.*arrival_s"),
        ((AZURE, "0,512,64", "500,512,64"), "line 2: TIMESTAMP = '0': expected a time stamp"),
        ((HEAD, "1715299200000,10,5"), "line 2: arrival_s = '1715299200000': expected seconds; a clock that counts ms"),
        ((HEAD, "1715299200009930000,10,5"), "expected seconds; a clock that counts ms, us or ns"),
        ((HEAD, "0,10,5", "1715299200001,10,5"), "line 3: arrival_s"),
        ((HEAD, '0,"1,024",5'), "line 2: prompt_tokens = '1,024'"),
        ((HEAD, "2024-05-10 00:00:00,1,1", "2024-05-10 02:00:01+02:00,1,1"), "line 3.*a time zone on all time stamps"),
        (("TIMESTAMP," + HEAD, "2024-05-10 00:00:00,7,10,5"), "arrival_s and TIMESTAMP, which mean the same"),
        ((HEAD + ",prompt_tokens", "0,1,1,1"), "the column 'prompt_tokens' twice"),
        ((HEAD + ",cancel_ms", "0,1,1,50"), "column 'cancel_ms' is not read; did you mean 'cancel_s'"),
        ((HEAD + ",Priority", "0,1,1,0"), "did you mean 'priority'"),
        (("", ""), "is empty"),
    ],
)
def test_what_may_mean_something_else_is_refused(tmp_path, lines, message):
    with pytest.raises(InputError, match=message):
        read_trace(trace(tmp_path, *lines))
