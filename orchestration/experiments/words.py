"""What the audit found, in plain words made from its numbers: for the page, the report and the terminal."""

from __future__ import annotations

from orchestration.experiments.decision import verdict_said
from orchestration.experiments.declaration import PremiseDeclaration
from orchestration.experiments.documents import PremiseDocument, Verdict

VERDICTS: dict[Verdict, str] = {
    "stands": "the premise of the pivot stands",
    "falls": "the premise of the pivot falls",
    "open": "whether the premise of the pivot stands is open",
}
NAMES = {
    "qwen_postmerge": "Qwen post-merge",
    "qwen_premerge": "Qwen pre-merge, order restored",
    "qwen_premerge_as_returned": "Qwen pre-merge, as returned",
    "dinov2": "DINOv2",
    "mobile_sam": "MobileSAM",
}
STANDINS = (
    "The models here are small ones of the real classes, trained on generated clips. What they show is that the method "
    "works; they say nothing of Qwen2.5-VL, DINOv2 or LTX-Video."
)


def finding(declaration: PremiseDeclaration, measured: PremiseDocument, verdict: Verdict) -> str:
    """One paragraph. What was not measured is not mentioned as if it had been."""
    return " ".join(
        [
            verdict_said(VERDICTS, measured, verdict),
            *_localisation(declaration, measured),
            *_alignment(declaration, measured),
        ]
    )


def _localisation(declaration: PremiseDeclaration, measured: PremiseDocument) -> list[str]:
    if not measured.localisation:
        return ["Where objects are is not known of these clips (they have no masks), so Q2 was not measured."]
    values = {name: reading.bbox_iou.value for name, reading in measured.localisation.items()}
    shown = "; ".join(f"{NAMES[name]}: {value:.3f}" for name, value in values.items() if value is not None)
    said = [f"Bounding Box IoU of the same probe on {measured.n_clips} held-out clips is, for {shown}."]
    order = measured.difference("qwen_premerge", "qwen_premerge_as_returned")
    if order and order.bbox_iou.value is not None and order.bbox_iou.low is not None:
        cost, (low, high) = order.bbox_iou.value, (order.bbox_iou.low, order.bbox_iou.high)
        reported = declaration.proposal.bbox_iou.value
        if low > 0:
            broken = values["qwen_premerge_as_returned"]
            said.append(
                f"Reading the pre-merge tokens in the order in which the library returns them costs {cost:.3f} "
                f"({low:.3f} .. {high:.3f}) and leaves {broken:.3f}; Q2 reported {reported:g}. "
                "Whether Q2 read them so cannot be told from here."
            )
        else:
            said.append(
                f"The library's order costs no more than chance would: {cost:.3f} ({low:.3f} .. {high:.3f}). "
                f"It does not explain the {reported:g} of Q2."
            )
    return said


def _alignment(declaration: PremiseDeclaration, measured: PremiseDocument) -> list[str]:
    unbiased, biased = measured.at("unbiased"), measured.at("biased")
    if not unbiased or not biased or unbiased[-1].cka.value is None or biased[0].cka.value is None:
        return []
    last, first, plan = unbiased[-1], biased[0], declaration.alignment
    reported = declaration.proposal.cka.value
    chance = ", ".join(f"{row.gaussian_proposed.mean:.3f} on {row.n} clips" for row in biased)
    return [
        f"CKA of the VLM's stream and the decoder's latents is {last.cka.value:.3f} unbiased on {last.n} clips "
        f"(permuted: up to {last.permuted.high:.3f}). The biased form gives {first.cka.value:.3f} on {first.n} clips. "
        f"For independent Gaussians as wide as the proposal's streams ({plan.widths.vlm} and {plan.widths.latents}) it "
        f"gives {chance}; Q1 reported {reported:g}."
    ]
