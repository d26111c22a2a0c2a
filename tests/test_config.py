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
