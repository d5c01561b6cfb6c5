"""Classes of ImageNet: which outputs of a 1,000-way head are a set's, and the two accuracies."""

import pytest
from timm.data import ImageNetInfo

from core.data import imagenet, imported, importing
from core.data.dataset import PHOTO_MEAN
from core.errors import DataError
from tests.data.bad_pictures import good


def test_the_list_is_timms():
    info = ImageNetInfo()
    assert list(imagenet.wnids()) == info.label_names() and len(imagenet.words()) == 1000
    assert all(", ".join(names) == info.index_to_description(i) for i, names in enumerate(imagenet.words()) if i % 97 == 0)


@pytest.mark.parametrize(
    ("classes", "outputs"),
    [
        (("n01440764", "n15075141"), (0, 999)),
        (("tench", "English springer", "cassette_player", "chain-saw", "Church", "golf ball"), (0, 217, 482, 491, 497, 574)),
        (("tench", "Tinca tinca"), None),  # two names of one class
        (("tench", "crane"), None),  # a bird and a machine
        (("tench", "no such thing"), None),
        (("n01440764", "n00000000"), None),
        ((), None),
    ],
)
def test_each_class_has_an_output_of_its_own(classes, outputs):
    assert imagenet.outputs(classes) == outputs


def test_a_validation_folder_gets_names_outputs_and_the_usual_normalisation(tmp_path, home):
    source = good(tmp_path / "val", ("n02087394", "n01440764", "n02012849", "n03126707"), each=4)
    importing.add(source, "val", importing.Import(image_size=32, test_share=1.0))
    spec, card = imported.spec_of("own:val"), imported.card("val")
    assert spec.mean == PHOTO_MEAN and card["folders"] == ["n01440764", "n02012849", "n02087394", "n03126707"]
    assert spec.classes == ("tench", "crane (n02012849)", "Rhodesian ridgeback", "crane (n03126707)")
    assert list(imported.outputs(spec.id) or ()) == [imagenet.wnids().index(wnid) for wnid in card["folders"]]
    importing.add(good(tmp_path / "set"), "none", importing.Import(image_size=32))
    assert imported.outputs("own:none") is None


def test_a_missing_list_is_told(monkeypatch):
    monkeypatch.setattr(imagenet.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match="Install timm again"):
        imagenet._lines("imagenet_synsets.txt")
