"""What is said of an explained clip: the document."""

from typing import TYPE_CHECKING, Any

from orchestration.explanation.clip import Clip
from orchestration.explanation.document import Attended, Explanation, Layer, Pins, Share
from orchestration.explanation.drawn import TITLES, by_cell, rows
from orchestration.explanation.trained import Trained, relative
from orchestration.home import Home

if TYPE_CHECKING:
    from models.evaluation.attribution import Attribution
    from models.evaluation.principal import PrincipalMap
    from models.fusion.config import FusionConfig


def document(
    trained: Trained,
    clip: Clip,
    found: "Attribution",
    maps: "dict[str, PrincipalMap]",
    attended: dict[str, Attended] | None,
    home: Home,
    figures: list[str],
    arrays: str,
) -> Explanation:
    """All numbers of a clip, with their pins; `figures` and `arrays` are the names of the files beside it."""
    job, config = trained.job, trained.fusion.config
    shares, gates = rows(found), trained.fusion.gates().tolist()
    return Explanation(
        clip=clip.seen,
        phase=job.phase,
        arm=trained.arm,
        dataset=job.dataset,
        profile=job.profile.name,
        standins=job.profile.standins,
        fusion=config.kind,
        pins=Pins(
            checkpoint=relative(trained.checkpoint.path, home),
            checkpoint_sha256=trained.checkpoint.state["fingerprint"],
            steps=trained.checkpoint.step,
            data_version=job.data_version,
            code_commit=job.code_commit,
            weights={name: job.weights[name] for name in trained.reads},
            run=trained.run,
        ),
        share=_share(found, config),
        layers=[
            Layer(
                cells=_value(shares, f"layer {number + 1}, cells"),
                captions=_value(shares, f"layer {number + 1}, captions"),
                gate_spatial=spatial,
                gate_semantic=semantic,
            )
            for number, (spatial, semantic) in enumerate(gates)
        ],
        attention=attended,
        pca={name: list(one.explained) for name, one in maps.items()},
        figures=figures,
        arrays=arrays,
        notes=_notes(trained),
    )


def _share(found: "Attribution", config: "FusionConfig") -> Share | None:
    from models.evaluation.attribution import PROTOCOL

    share, shares = by_cell(found, config), rows(found)
    if found.whole is None or share is None:
        return None
    without_spatial, without_semantic = found.whole.cells.mean((0, 1, 2)).tolist()
    return Share(
        protocol=PROTOCOL,
        cells=_value(shares, "cells"),
        captions=_value(shares, "captions"),
        by_cell=share.tolist(),
        moved_without_spatial=without_spatial,
        moved_without_semantic=without_semantic,
    )


def _notes(trained: Trained) -> list[str]:
    """What a reader must know of these numbers."""
    job, said = trained.job, []
    if job.profile.standins:
        said.append("made with stand-ins: small models that know generated clips only and say nothing of the real ones")
    if len(trained.reads) == 1:
        only = TITLES[trained.reads[0]]
        said.append(f"{trained.arm} is shown {only} alone: there is nothing to share, and the other stream is its null")
    if not trained.fusion.config.attends:
        said.append(f"a {trained.fusion.config.kind} fusion has no attention and no layers that read: share only")
    if job.phase == 3:
        said.append("of the fusion's output; what the generator makes of it is not attributed")
    return said


def _value(shares: dict[str, dict[str, Any]], name: str) -> float | None:
    return shares[name]["value"] if name in shares else None
