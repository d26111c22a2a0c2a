"""The score of simulated raters whose rates are known, as section 10 of the card asks; files that are not answers."""

import csv
import itertools
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import kstest

from tfssl.cli import main
from tfssl.realism.answers import read_answers
from tfssl.realism.score import bootstrap_means, score, two_sided_p


def raters(simulated, rng, rates, algorithm="ours"):
    """Sessions of 40 pairs whose raters are fooled with these probabilities."""
    return [
        simulated(f"{algorithm} {number}", algorithm, rng.random(40) < rate, sides=(rng.random(44) < 0.5).tolist())
        for number, rate in enumerate(rates)
    ]


def scored(sessions, **options):
    return score(sessions, resamples=2000, **options)["models"]["ours"]


def test_a_known_rate_is_found(simulated):
    found = scored(raters(simulated, np.random.default_rng(1), [0.32] * 40))
    assert abs(found["fooled"] - 0.32) < 2 * found["standard_error"]
    assert found["participants"] == 40 and found["trials"] == 1600
    # Raters who are alike: the error is that of 1,600 coins, 1.17 points at 0.323.
    assert found["standard_error"] == pytest.approx(0.0117, rel=0.25)
    assert found["binomial_error"] == pytest.approx(0.0117, rel=0.03)


def test_raters_who_know_who_guess_and_who_have_a_side(simulated):
    rng = np.random.default_rng(2)
    perfect = scored(raters(simulated, rng, [0.0] * 5))
    assert perfect["fooled"] == 0 == perfect["standard_error"]
    coin = scored(raters(simulated, rng, [0.5] * 40))
    assert abs(coin["fooled"] - 0.5) < 2 * coin["standard_error"]
    sides = [(rng.random(44) < 0.5).tolist() for _ in range(40)]  # always left: fooled where the left one is real
    always_left = scored([simulated(str(i), "ours", side[:40], sides=side) for i, side in enumerate(sides)])
    assert always_left["answered_left"] == 1
    assert always_left["fooled"] == pytest.approx(always_left["left_was_real"])
    assert abs(always_left["fooled"] - 0.5) < 2 * always_left["standard_error"]


def test_people_who_differ_make_the_error_larger_than_the_binomial_one(simulated):
    rng = np.random.default_rng(3)
    found = scored(raters(simulated, rng, rng.beta(2, 4, 40)))
    assert found["standard_error"] > 1.5 * found["binomial_error"]


def test_three_participants_of_the_card():
    means = bootstrap_means([0.5, 0.0, 0.5], np.random.default_rng(0))
    assert means.mean() == pytest.approx(0.3333, abs=0.005)
    assert means.std() == pytest.approx(0.1667, abs=0.003)


def test_p_of_identical_models_is_uniform_and_of_different_ones_small():
    rng, found = np.random.default_rng(4), []
    for _ in range(250):
        a, b = (bootstrap_means(rng.binomial(40, rng.beta(6, 12, 25)) / 40, rng, 400) for _ in range(2))
        found.append(two_sided_p(a - b))
    assert kstest(found, "uniform").pvalue > 0.01
    assert 0.02 < np.mean(np.array(found) < 0.05) < 0.09
    assert two_sided_p(np.ones(9999)) == pytest.approx(2 / 10_000)
    assert two_sided_p(np.zeros(99)) == 1


def test_models_are_compared_and_who_fails_the_checks_is_left_out(simulated):
    rng = np.random.default_rng(5)
    sessions = raters(simulated, rng, [0.4] * 20, "good") + raters(simulated, rng, [0.1] * 20, "bad")
    sleepers = [
        simulated("sleeper", "good", [True] * 40, checks=(True, True, False, False)),
        simulated("once wrong", "good", [True] * 40, checks=(True, True, True, False)),
    ]
    found = score([*sessions, *sleepers], resamples=1000)
    assert found["models"]["good"]["excluded"] == ["sleeper"] and found["models"]["good"]["participants"] == 21
    assert found["models"]["good"]["checks_passed"] == pytest.approx((20 + 0.5 + 0.75) / 22)
    (difference,) = found["differences"]
    assert difference["models"] == ["bad", "good"] and -0.4 < difference["difference"] < -0.2
    assert difference["p"] == pytest.approx(2 / 1001)
    alone = score(sleepers, resamples=1000)["models"]["good"]
    assert alone["fooled"] == 1 and alone["standard_error"] is None


def test_rates_of_images_have_wilsons_interval(simulated):
    sessions = [simulated(str(i), "ours", [i < 3, i < 8]) for i in range(10)]
    rows = {row["image"]: row for row in score(sessions, resamples=10)["images"]}
    assert [(row["shown"], row["fooled"]) for row in rows.values()] == [(10, 0.8), (10, 0.3)]
    # Wilson 1927, by hand: (p + z^2/2n +- z sqrt(p (1 - p) / n + z^2/4n^2)) / (1 + z^2/n), p = .3, n = 10
    assert (rows["photo1"]["wilson_low"], rows["photo1"]["wilson_high"]) == pytest.approx((0.1078, 0.6032), abs=1e-4)


def call(*arguments):
    with pytest.raises(SystemExit) as stop:
        main(["realism-test", "score", *map(str, arguments)])
    return stop.value.code


def write(folder, name, session):
    path = folder / name
    path.write_text(session if isinstance(session, str) else session.model_dump_json())
    return path


def test_the_command_writes_what_it_says(simulated, tmp_path, capsys):
    sessions = raters(simulated, np.random.default_rng(6), [0.3] * 4, "=HYPERLINK") + raters(
        simulated, np.random.default_rng(7), [0.3] * 4
    )
    for number, session in enumerate(sessions):
        write(tmp_path, f"{number}.json", session)
    assert call(tmp_path, "--out", tmp_path / "scores") == 0
    out = capsys.readouterr().out
    assert "=HYPERLINK - ours: " in out and out.endswith("per_image.csv, rates.png, scores.json\n")
    with open(tmp_path / "scores" / "per_image.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 80 and rows[0]["model"] == "'=HYPERLINK"  # no formula for a spreadsheet
    assert (tmp_path / "scores" / "rates.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / "scores" / "scores.json").read_text())["models"]["ours"]["trials"] == 160


def test_files_that_do_not_serve_are_named_and_the_others_scored(simulated, tmp_path, capsys):
    answers = [True, False]
    for name in "ab":
        write(tmp_path, f"{name}.json", simulated(name, "ours", answers))
    good = (tmp_path / "a.json").read_text()
    write(tmp_path, "again.json", good)
    write(tmp_path, "foreign.json", simulated("c", "ours", answers, study="other"))
    write(tmp_path, "cut.json", good[:300])
    write(tmp_path, "list.json", "[1, 2]")
    write(tmp_path, "report.json", '{"metrics": 3}')
    write(tmp_path, "answer.json", good.replace('"left"', '"up"', 1))
    write(tmp_path, "few.json", json.dumps({**json.loads(good), "trials": json.loads(good)["trials"][:-1]}))
    assert call(tmp_path) == 1
    out, error = capsys.readouterr()
    assert out.splitlines()[2].split()[:3] == ["ours", "50.0", "%"]
    reasons = dict(line.removeprefix("refused ").split(".json: ", 1) for line in error.splitlines())
    found = {os.path.basename(path): reason for path, reason in reasons.items()}
    assert found["again"].startswith("participant 'a' again, the same session is in ")
    assert found["foreign"] == "answers of another page: study other, most are of s"
    assert found["cut"].startswith("damaged: it ends early or is no JSON of tfssl realism-test")
    assert found["list"].startswith("no answers of tfssl realism-test")
    assert found["report"].startswith("no answers of tfssl realism-test (Field required)")
    assert found["answer"].startswith("damaged: trials.0.answer: ")
    assert found["few"].startswith("damaged: it holds {'practice': 1, 'check': 3, 'test': 2} trials")
    assert len(found) == 7


def test_nothing_to_score_is_one_line(tmp_path, capsys):
    write(tmp_path, "x.json", "{}")
    for given in (tmp_path / "x.json", tmp_path / "none.json"):
        assert call(given) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_the_first_session_of_a_participant_counts(simulated, tmp_path):
    late = simulated("a", "ours", [True]).model_copy(update={"started": "2026-01-02T09:00:00Z"})
    paths = [write(tmp_path, "1.json", late), write(tmp_path, "2.json", simulated("a", "ours", [False]))]
    for order in itertools.permutations(map(str, paths)):
        found = read_answers(order)
        assert [session.started for session in found.sessions] == ["2026-01-01T10:00:00Z"]
        assert list(found.refused) == [str(paths[0])]


def test_score_does_not_import_tensorflow(simulated, tmp_path):
    path = write(tmp_path, "x.json", simulated("a", "ours", [True]))
    code = (
        "import sys; sys.modules['tensorflow'] = sys.modules['keras'] = None; from tfssl.cli import main\n"
        f"main(['realism-test', 'score', {str(path)!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "100.0 %" in done.stdout, done.stderr
