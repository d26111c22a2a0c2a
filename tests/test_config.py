"""Configurations: every shipped one parses, every mistake is named."""

import pytest

from tfssl.config import load_config, parse_config
from tfssl.errors import ConfigError
from tfssl.resources import configs
from tfssl.training.optimizers import WarmupCosine, WarmupSteps, build_optimizer

SHIPPED = sorted(configs().glob("*/*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_shipped_configurations_parse_and_round_trip(path, tmp_path):
    config = load_config(path)
    assert config.method.name() == path.parent.name
    config.save(tmp_path / "copy.yaml")
    assert load_config(tmp_path / "copy.yaml").to_dict() == config.to_dict()
    assert path.read_text().startswith("#"), "a header says paper, command and expected result"


def test_shipped_configurations_are_found_by_name():
    assert load_config("colorization/cpu").to_dict() == load_config("configs/colorization/cpu.yaml").to_dict()


@pytest.mark.parametrize(
    "values, words",
    [
        ({}, "missing key `method`"),
        ({"method": "colorisation"}, "did you mean `colorization`"),
        ({"method": "colorization", "bach_size": 3}, "did you mean `batch_size`"),
        ({"method": "colorization", "crop_sizes": 3}, "did you mean `crop_size`"),
        ({"method": "colorization", "batch_size": 0}, "batch_size"),
        ({"method": "colorization", "learning_rate": -1}, "learning_rate"),
        ({"method": "colorization", "learning_rate": {5: 1e-3}}, "begins with step 0"),
        ({"method": "colorization", "precision": "float8"}, "precision"),
        ({"method": "colorization", "epochs": "many"}, "epochs"),
    ],
)
def test_mistakes_are_named_in_one_line(values, words):
    with pytest.raises(ConfigError, match=words) as caught:
        parse_config(values)
    assert "\n" not in str(caught.value)


def test_overrides_are_checked_the_same_way():
    config = load_config(
        "colorization/cpu", ["batch_size=7", "crop_area=[0.4, 1]", "learning_rate={0: 1e-3, 10: 1e-4}"]
    )
    assert config.settings.batch_size == 7 and config.method.crop_area == (0.4, 1.0)
    assert config.settings.learning_rate == {0: 1e-3, 10: 1e-4}
    for override in ("batch_size", "batch_sise=3", "batch_size=[", "batch_size=x"):
        with pytest.raises(ConfigError, match="batch_si"):
            load_config("colorization/cpu", [override])


def test_files_that_are_no_configuration(tmp_path):
    (tmp_path / "list.yaml").write_text("- a\n- b\n")
    (tmp_path / "broken.yaml").write_text("a: [1\n")
    for name in ("list.yaml", "broken.yaml", "missing.yaml"):
        with pytest.raises(ConfigError, match=name) as caught:
            load_config(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_schedules_by_hand():
    cosine = WarmupCosine(1.0, total_steps=110, warmup_steps=10)
    assert [round(float(cosine(s)), 6) for s in (0, 9, 10, 60, 110, 500)] == [0.1, 1.0, 1.0, 0.5, 0.0, 0.0]
    steps = WarmupSteps({0: 1.0, 5: 0.1}, warmup_steps=2)
    assert [round(float(steps(s)), 6) for s in (0, 1, 4, 5, 9)] == [0.5, 1.0, 1.0, 0.1, 0.1]


@pytest.mark.parametrize(
    "changes, words",
    [({"optimizer": "adamm"}, "did you mean 'adam'"), ({"optimizer": "sgd", "beta_1": 0.9}, "does not take")],
)
def test_wrong_optimizer_settings_are_named(changes, words):
    settings = parse_config({"method": "colorization", **changes}).settings
    with pytest.raises(ConfigError, match=words):
        build_optimizer(settings, 100)


WORDS = {"learning_rate": ["inf", ".nan", ".inf", "1e999"], "warmup_steps": [".inf"], "weight_decay": [".inf"],
    "clip_norm": [".nan"], "lightness_jitter": [".nan"], "prior_sigma": [".inf"], "crop_area": ["[0.1, .nan]"],
    "seed": ["4294967296"], "epochs": ["9" * 5000, "0x" + "f" * 5000, "1" + ":1" * 5000]}  # fmt: skip


@pytest.mark.parametrize("key, value", [(key, value) for key, values in WORDS.items() for value in values])
def test_numbers_that_are_none(key, value):
    with pytest.raises(ConfigError, match=f"`{key}") as caught:
        load_config("colorization/cpu", [f"{key}={value}"])
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_a_table_of_learning_rates_is_finite():
    with pytest.raises(ConfigError, match="`learning_rate"):
        parse_config({"method": "jigsaw", "learning_rate": {0: 0.1, 5: float("inf")}})


LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))


@pytest.mark.parametrize(
    "text, words",
    [
        (LAUGHS, "without aliases"),
        ("a: &a [*a]\n", "holds itself"),
        ("a: " + "[" * 50_000, "nested too deeply"),
        ("a: " + "9" * 200_000, "a number of 200000 characters"),
        ("a: " + "x" * 300_000, "more than"),
        ("a: 2020-13-45\n", "month"),
        ("{[1]: 2}\n", "YAML"),
    ],
    ids=["laughs", "itself", "deep", "digits", "long", "date", "key"],
)
def test_hostile_yaml_is_one_line(tmp_path, text, words):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ConfigError, match=words) as caught:
        load_config(tmp_path / "a.yaml")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "path", ["a\N{GRINNING FACE}b/[1]", "2024", "no", "1e3", "a #b", "a: b", "{x}", "~/x", "'q'/r"]
)
def test_paths_are_taken_as_they_are(path):
    assert load_config("colorization/cpu", [("data", path)]).settings.data == path
    assert load_config("colorization/cpu", [f"validation={path}", f"prior={path}"]).method.prior == path
    assert load_config("colorization/cpu", ["validation=null"]).settings.validation is None


@pytest.mark.parametrize("former, now", [(True, "random"), (False, "center")])
def test_where_former_runs_cut_puzzles(former, now, tmp_path):
    (tmp_path / "config.yaml").write_text(f"method: jigsaw\nrandom_crop: {former}\n".lower())
    assert load_config(tmp_path / "config.yaml").method.crop_position == now
    with pytest.raises(ConfigError, match="now called `crop_position`"):
        load_config("jigsaw/cpu", ["random_crop=true"])


@pytest.mark.parametrize(
    ("method", "backbone", "epsilon"),
    [
        ("colorization", "paper", 1e-3),
        ("split_brain", "alexnet", 1e-3),
        ("context_prediction", "vgg", 1e-3),
        ("colorization", "small", None),
        ("jigsaw", "alexnet", None),
    ],
)
def test_a_run_of_an_earlier_version_keeps_its_batch_normalization(tmp_path, method, backbone, epsilon):
    """Its config.yaml has no such fields: the network was trained with Keras' constants."""
    file = tmp_path / "config.yaml"
    file.write_text(f"method: {method}\nbackbone: {backbone}\n")
    assert getattr(load_config(file).method, "batch_norm_epsilon", None) == epsilon
    file.write_text(f"method: {method}\nbackbone: {backbone}\n" + "batch_norm_epsilon: null\n" * (method != "jigsaw"))
    assert getattr(load_config(file).method, "batch_norm_epsilon", None) is None  # a run of this version
