"""How a run looks while it goes: a live bar on a terminal, plain lines in a pipe."""

from typing import Any, TextIO

from orchestration.progress import Every, Progress

CHECKS = "/fit"


class Display:
    """Stage, step, loss and time left; each stage's time when it ends."""

    def __init__(self, terminal: TextIO, stages: int, *, quiet: bool = False) -> None:
        from rich.console import Console

        self._console = Console(file=terminal, quiet=quiet, highlight=False, soft_wrap=True)
        self._stages, self._done, self._stage = stages, 0, ""
        self._every, self._bar, self._task = Every(), None, None

    def __enter__(self) -> "Display":
        if self._console.is_terminal:
            self._bar = _bar(self._console)
            self._bar.start()
        return self

    def __exit__(self, *error: Any) -> None:
        if self._bar:
            self._bar.stop()

    def begin(self, stage: str) -> None:
        """A stage starts."""
        self._stage = stage
        if self._bar:
            self._drop()
            self._task = self._bar.add_task(self._title(), total=None, numbers="")

    def progress(self, progress: Progress) -> None:
        """A stage goes on."""
        numbers = dict(progress.numbers)
        left = clock(numbers.pop("eta_s")) + " left" if "eta_s" in numbers else ""
        said = " ".join([*(f"{name} {value:.4g}" for name, value in numbers.items()), left]).strip()
        if self._bar and self._task is not None:
            what = f"{self._title()} {progress.what}"
            self._bar.update(self._task, description=what, total=progress.total, completed=progress.done, numbers=said)
        elif not self._bar and self._every.due(progress):
            self._console.print(f"{self._title()} {progress.what} {progress.done}/{progress.total} {said}".rstrip())

    def end(self, stage: str, seconds: float, *, made: bool) -> None:
        """A stage is there."""
        self._drop()
        self._done += not stage.endswith(CHECKS)  # checks stand beside a stage and are none
        how = "" if made else "  [dim](stood already, not made again)[/]"
        self._console.print(f"[green]done[/]   {stage:<32} {clock(seconds):>8}{how}")

    def fail(self, stage: str, why: str) -> None:
        """A stage failed."""
        from rich.markup import escape

        self._drop()
        self._console.print(f"[red]failed[/] {stage:<32} {escape(why)}")

    def _title(self) -> str:
        return f"({self._done + 1} of {self._stages}) {self._stage}"

    def _drop(self) -> None:
        if self._bar and self._task is not None:
            self._bar.remove_task(self._task)
            self._task = None


def _bar(console: Any) -> Any:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn())
    return Progress(
        *columns, TextColumn("{task.fields[numbers]}"), TimeElapsedColumn(), console=console, transient=True
    )


def clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d} min" if minutes else f"{seconds:.1f} s"
