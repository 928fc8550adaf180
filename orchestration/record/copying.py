"""A sensor that copies to MLflow and Dagster what was decided or signed elsewhere, or while they were away."""

import dagster as dg

from orchestration.resources import Foresight


@dg.sensor(
    name="copy_the_record",
    default_status=dg.DefaultSensorStatus.STOPPED,
    minimum_interval_seconds=300,
    description="Decisions and overrides that MLflow or Dagster do not show yet are copied there, each once.",
)
def copy_the_record(context: dg.SensorEvaluationContext, foresight: Foresight) -> dg.SkipReason:
    from orchestration.record import mirror
    from orchestration.record.opened import decisions

    log = decisions(foresight.home)
    shown = len(mirror.to_dagster(foresight.home, log, context.instance))
    try:
        recorded = len(mirror.to_mlflow(foresight.home, log))
    except mirror.MirrorError as error:
        return dg.SkipReason(f"{shown} copied to Dagster; {error}")
    return dg.SkipReason(f"{shown} copied to Dagster, {recorded} to MLflow")
