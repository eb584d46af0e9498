"""The closed sets: words as values, with a sentence for operators beside them."""

import json
import pickle
from enum import StrEnum

import msgspec
import pytest

from transforms.vocabulary import Kind, Note, Reason


def test_every_kind_reason_and_note_has_its_sentence() -> None:
    sentences = [kind.meaning for kind in Kind] + [reason.remedy for reason in Reason] + [note.meaning for note in Note]
    for sentence in sentences:
        assert len(sentence) > 20, sentence
        assert sentence[-1] == ".", sentence
        assert "  " not in sentence, sentence
        assert "\n" not in sentence, sentence
    assert len(set(sentences)) == len(sentences)
    assert Kind.UNDELIVERED.meaning == "Could be sent again as it is: replay."
    assert Reason.OUTAGE.remedy == "TikTok could not be reached or kept failing for `retry_secs`. Replay later."


@pytest.mark.parametrize("words", [Kind, Reason, Note])
def test_a_word_is_its_value_wherever_it_goes(words: type[StrEnum]) -> None:
    for word in words:
        assert f"{word}" == str(word) == word.value == word
        assert hash(word) == hash(word.value)
        assert words(word.value) is word
        assert pickle.loads(pickle.dumps(word)) is word  # noqa: S301  # our own
        assert msgspec.json.encode(word) == json.dumps(word.value).encode()
        assert msgspec.json.decode(msgspec.json.encode([word]), type=list[words]) == [word]  # type: ignore[valid-type]
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(word), type=words) is word
    with pytest.raises(ValueError, match="is not a valid"):
        words("another")


def test_the_schema_of_a_word_is_the_list_of_the_values() -> None:
    schema = msgspec.json.schema(Kind)["$defs"]["Kind"]
    assert schema["enum"] == sorted(kind.value for kind in Kind)
