"""One word-level tokenizer for the text of generated clips, with the special tokens that Qwen's processor needs."""

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from models.data.moving_shapes import COLOURS, DIRECTIONS, SHAPES, TEXTURES

PAD, END, UNKNOWN, USER, ANSWER = "<|pad|>", "<|im_end|>", "<|unknown|>", "<|user|>", "<|assistant|>"
VISION = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
CHAT_TEMPLATE = (
    "{% for message in messages %}{% for part in message['content'] %}"
    "{% if part['type'] == 'video' %}<|vision_start|><|video_pad|><|vision_end|>{% endif %}"
    "{% endfor %}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def build() -> PreTrainedTokenizerFast:
    """The vocabulary is every word that a caption of `moving_shapes` can hold."""
    words = ["a", "large", "small", "moves", "then", "near", *SHAPES, *TEXTURES, *COLOURS, *DIRECTIONS]
    special = [PAD, END, UNKNOWN, USER, ANSWER, *VISION]
    vocabulary = {word: index for index, word in enumerate(dict.fromkeys([*special, *words]))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(special)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        unk_token=UNKNOWN,
        extra_special_tokens={"image_token": VISION[2], "video_token": VISION[3]},
        padding_side="right",
    )
