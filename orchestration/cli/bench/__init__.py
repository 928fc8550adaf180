"""`foresight bench`: figures about this project's own speed and its measures. Ratios are of one run on one machine."""

import typer

from orchestration.cli.bench.gpu import latency, vram
from orchestration.cli.bench.int8 import cache
from orchestration.cli.bench.measures import fvd, intervals, measure
from orchestration.cli.bench.overhead import dagster, definitions
from orchestration.cli.bench.ratios import encode, extract, train
from orchestration.cli.bench.scale import scale

bench_app = typer.Typer(
    no_args_is_help=True, help="Measure what this project promises of its own speed and of its measures."
)
for _command in (dagster, definitions, scale, cache, encode, train, extract, latency, vram, measure, intervals, fvd):
    bench_app.command()(_command)
