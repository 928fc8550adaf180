"""A message counts when its line has ended, however slowly it is written."""

import threading

from orchestration.messages import complete_lines


def test_a_line_in_pieces_is_one_message(tmp_path):
    path, closed = tmp_path / "messages", threading.Event()
    path.touch()
    seen = []
    with path.open() as reader, path.open("a") as writer:
        lines = complete_lines(reader, closed)
        thread = threading.Thread(target=lambda: seen.extend(lines))
        thread.start()
        for piece in ('{"a"', ": 1", "}", '\n{"b": 2}\n{"c"', ": 3}\n"):
            writer.write(piece)
            writer.flush()
        closed.set()
        thread.join()
    assert seen == ['{"a": 1}\n', '{"b": 2}\n', '{"c": 3}\n']


def test_a_line_that_never_ended_is_no_message(tmp_path):
    path, closed = tmp_path / "messages", threading.Event()
    path.write_text('{"a": 1}\n{"type": "res')
    closed.set()
    with path.open() as reader:
        assert list(complete_lines(reader, closed)) == ['{"a": 1}\n']
