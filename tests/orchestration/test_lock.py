"""One run at a time in one home, and a dead run blocks nobody."""

import dagster as dg
import pytest

from orchestration.lock import RunningError, hold
from orchestration.resources import Foresight


def test_a_second_run_is_refused_and_told_who_runs(tmp_path, holder):
    told = rf"'foresight run' is going on here \(process {holder.pid}, for 0 min\)"
    with pytest.raises(RunningError, match=told), hold(tmp_path / "home" / "lock", "another"):
        raise AssertionError("two runs hold one home")


def test_a_run_launched_in_the_ui_is_refused_too(tmp_path, holder):
    @dg.asset
    def stage(foresight: Foresight) -> None:
        raise AssertionError("two runs hold one home")

    resources = {"foresight": Foresight(home_folder=str(tmp_path / "home"), profile_name="laptop")}
    with pytest.raises(dg.DagsterResourceFunctionError) as refused:
        dg.materialize([stage], resources=resources)
    assert isinstance(refused.value.user_exception, RunningError)


def test_a_killed_run_leaves_nothing_stale(tmp_path, holder):
    holder.kill()
    holder.wait()
    with hold(tmp_path / "home" / "lock", "another"):
        assert "another" in (tmp_path / "home" / "lock").read_text()


def test_the_lock_is_free_again_after_an_error(tmp_path):
    with pytest.raises(KeyError), hold(tmp_path / "lock", "first"):
        raise KeyError
    with hold(tmp_path / "lock", "second"):
        pass


def test_the_process_that_holds_it_may_ask_again(tmp_path):
    with hold(tmp_path / "lock", "first"):
        with hold(tmp_path / "lock", "within"):
            pass
        assert "first" in (tmp_path / "lock").read_text()
